// SPDX-License-Identifier: MIT
// AnswerReader: reads the line protocol of the on-box scripts. Every byte is hostile: the first
// wrong line stops the reading for good, later getters give zeros, and error() says what and where.
// So a parser reads straight down and asks once, at its end, whether all of it was right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace rgt {

class AnswerReader {
 public:
  // `head` is the version line, e.g. "rgt-look 2"; the answer must end with the line "end".
  AnswerReader(std::string_view answer, std::string_view head);

  bool ok() const { return !error_.has_value(); }
  Error error() const;  // Code::corrupt; only if !ok()

  // Is the current line this keyword? Never moves. False after a failure or at the last line.
  bool at(std::string_view keyword) const;
  bool at_end() const;  // the line "end", or a failure
  // Takes the current line, which must be this keyword with this many fields.
  void take(std::string_view keyword, std::size_t fields);

  // Fields of the line taken last, from 0. `max` bounds what still makes sense.
  std::string_view raw(std::size_t index) const;
  std::uint64_t number(std::size_t index, std::uint64_t max = UINT64_MAX / 2);
  std::int64_t integer(std::size_t index, std::int64_t min, std::int64_t max);
  bool flag(std::size_t index);               // "0" or "1"
  std::string text(std::size_t index);        // "-", "=raw" or "+base64": bytes as they were
  std::string name(std::size_t index);        // is_safe_name
  std::string hex_digest(std::size_t index);  // 64 lower-case hex digits

  void fail(std::string_view expected);

 private:
  void load();  // splits the line at at_ into line_

  std::string_view answer_ = {};
  std::string_view kind_ = {};
  std::size_t position_ = 0;  // where the line after line_ begins
  std::size_t line_number_ = 0;
  std::vector<std::string_view> line_ = {};   // the current line, not yet taken
  std::vector<std::string_view> taken_ = {};  // the line taken last
  std::optional<Error> error_ = {};
};

// The line "machine ID/UUID" as the digest that a machine is known by; empty where it says neither.
std::string read_machine_id(AnswerReader& answer);

}  // namespace rgt
