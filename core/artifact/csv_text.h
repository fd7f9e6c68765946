// SPDX-License-Identifier: MIT
// Tables as text: the records of CSV (RFC 4180) and TSV.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rgt {

// The fields of one record from `at` on; false if a quote is not closed.
bool read_record(std::string_view text, char separator, std::size_t& at,
                 std::vector<std::string>& fields);

// The header tells which it is, never the file's name.
char separator_of(std::string_view text);

}  // namespace rgt
