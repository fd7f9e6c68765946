// SPDX-License-Identifier: MIT
#include "core/box/fields.h"

#include "core/base/digest.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kShown = 80;  // bytes of a wrong line in a message: enough to recognise it

bool is_lower_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

AnswerReader::AnswerReader(std::string_view answer, std::string_view head)
    : answer_(answer), kind_(head) {
  load();
  if (!ok()) return;
  const std::vector<std::string_view> wanted = split(head, ' ');
  if (line_ != wanted) {
    fail("the first line '" + std::string(head) + "'");
    return;
  }
  // Looked for at once: a cut answer is refused before any of it is believed.
  const std::string_view last = "\nend\n";
  if (answer_.size() < last.size() || answer_.substr(answer_.size() - last.size()) != last) {
    line_number_ = 0;
    line_.clear();
    fail("the last line 'end' (the answer was cut off)");
    return;
  }
  load();
}

Error AnswerReader::error() const { return *error_; }

void AnswerReader::load() {
  line_.clear();
  if (position_ >= answer_.size()) return fail("another line");
  const std::size_t newline = answer_.find('\n', position_);
  if (newline == std::string_view::npos) return fail("a whole line");
  ++line_number_;
  line_ = split(answer_.substr(position_, newline - position_), ' ');
  position_ = newline + 1;
  if (line_.size() == 1 && line_[0] == "end" && position_ != answer_.size()) {
    fail("nothing after the line 'end'");
  }
}

bool AnswerReader::at(std::string_view keyword) const {
  return ok() && !line_.empty() && line_[0] == keyword;
}

bool AnswerReader::at_end() const { return !ok() || at("end"); }

void AnswerReader::take(std::string_view keyword, std::size_t fields) {
  if (!ok()) return;
  if (!at(keyword) || line_.size() != fields + 1) {
    return fail("'" + std::string(keyword) + "' with " + std::to_string(fields) + " fields");
  }
  taken_ = line_;
  if (keyword != "end") load();
}

std::string_view AnswerReader::raw(std::size_t index) const {
  return ok() && index + 1 < taken_.size() ? taken_[index + 1] : std::string_view();
}

std::uint64_t AnswerReader::number(std::size_t index, std::uint64_t max) {
  if (!ok()) return 0;
  const auto value = parse_uint(raw(index));
  if (value && *value <= max) return *value;
  fail("a whole number of at most " + std::to_string(max));
  return 0;
}

std::int64_t AnswerReader::integer(std::size_t index, std::int64_t min, std::int64_t max) {
  if (!ok()) return 0;
  const auto value = parse_int(raw(index));
  if (value && *value >= min && *value <= max) return *value;
  fail("a number from " + std::to_string(min) + " to " + std::to_string(max));
  return 0;
}

bool AnswerReader::flag(std::size_t index) { return number(index, 1) == 1; }

std::string AnswerReader::text(std::size_t index) {
  if (!ok()) return {};
  const std::string_view token = raw(index);
  if (token == "-") return {};
  if (token.size() > 1 && token[0] == '=') return std::string(token.substr(1));
  if (!token.empty() && token[0] == '+') {
    if (auto bytes = base64_decode(token.substr(1))) return std::move(*bytes);
  }
  fail("text as '-', '=text' or '+base64'");
  return {};
}

std::string AnswerReader::name(std::size_t index) {
  if (!ok()) return {};
  if (is_safe_name(raw(index))) return std::string(raw(index));
  fail("a name of " + std::string(kSafeNameRule));
  return {};
}

std::string AnswerReader::hex_digest(std::size_t index) {
  if (!ok()) return {};
  if (raw(index).size() == 64 && is_lower_hex(raw(index))) return std::string(raw(index));
  fail("a SHA-256 as 64 hex digits");
  return {};
}

void AnswerReader::fail(std::string_view expected) {
  if (error_) return;
  const std::vector<std::string_view>& shown = taken_.empty() ? line_ : taken_;
  std::string words;
  for (std::string_view word : line_.empty() ? shown : line_) {
    words += words.empty() ? "" : " ";
    words += word.substr(0, kShown);
    if (words.size() > kShown) break;
  }
  std::string where = line_number_ == 0 ? "" : " near line " + std::to_string(line_number_);
  error_ = Error{Code::corrupt,
                 "the box's answer (" + std::string(kind_) + ") is wrong" + where + ": expected " +
                     std::string(expected) + ", found '" + clean_line(words, kShown) + "'",
                 "ask again; if it stays, something on the box writes into our answers (a login "
                 "banner, a wrapper around sh) or the box's sh is broken"};
}

std::string read_machine_id(AnswerReader& answer) {
  answer.take("machine", 1);
  std::string said = answer.text(0);
  if (said.empty()) return {};
  if (const std::size_t slash = said.find('/'); slash != std::string::npos) said[slash] = '\n';
  return sha256_hex(said);
}

}  // namespace rgt
