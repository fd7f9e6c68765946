// SPDX-License-Identifier: MIT
#include "core/artifact/json_text.h"

namespace rgt {

std::string without_specials(std::string_view text, std::size_t& specials) {
  std::string plain;
  plain.reserve(text.size());
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      plain += c;
      if (c == '\\' && i + 1 < text.size())
        plain += text[++i];
      else if (c == '"')
        in_string = false;
      continue;
    }
    in_string = c == '"';
    bool replaced = false;
    for (const std::string_view word :
         {std::string_view("-Infinity"), std::string_view("Infinity"), std::string_view("NaN")}) {
      if (text.substr(i, word.size()) != word) continue;
      plain += "null";
      i += word.size() - 1;
      ++specials;
      replaced = true;
      break;
    }
    if (!replaced) plain += c;
  }
  return plain;
}

bool nests_deeper(std::string_view text, int depth) {
  int level = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '[' || c == '{')) {
      if (++level > depth) return true;
    } else if (!in_string && (c == ']' || c == '}')) {
      --level;
    }
  }
  return false;
}

}  // namespace rgt
