// SPDX-License-Identifier: MIT
#include "core/artifact/csv_text.h"

namespace rgt {

bool read_record(std::string_view text, char separator, std::size_t& at,
                 std::vector<std::string>& fields) {
  fields.assign(1, "");
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c != '"')
        fields.back() += c;
      else if (at + 1 < text.size() && text[at + 1] == '"')
        fields.back() += text[++at];
      else
        quoted = false;
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == separator) {
      fields.emplace_back();
    } else if (c == '\n') {
      ++at;
      return true;
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return !quoted;
}

char separator_of(std::string_view text) {
  const std::string_view header = text.substr(0, text.find('\n'));
  const bool tabs =
      header.find(',') == std::string_view::npos && header.find('\t') != std::string_view::npos;
  return tabs ? '\t' : ',';
}

}  // namespace rgt
