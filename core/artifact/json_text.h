// SPDX-License-Identifier: MIT
// JSON as Python writes it, before it is parsed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rgt {

// Replaces the words NaN, Infinity and -Infinity outside of strings by null; says how many there
// were.
std::string without_specials(std::string_view text, std::size_t& specials);

// Do brackets outside of strings nest deeper than so? Asked before JSON becomes a tree: the
// parser's own callback would take time in the square of an array's length.
bool nests_deeper(std::string_view text, int depth);

}  // namespace rgt
