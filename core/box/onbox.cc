// SPDX-License-Identifier: MIT
#include "core/box/onbox.h"

#include <span>

#include "core/base/embedded.h"
#include "core/base/text.h"

namespace rgt {

extern const std::span<const EmbeddedFile> kOnboxScripts;

namespace {

constexpr std::size_t kErrorWords = 300;  // bytes of a script's stderr in a message: one paragraph

bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '\\';
}

// Without its lines of comment: what fits into TCP's first ten segments, 14 KB, arrives in one turn
// also on a link that was idle.
void append_code(std::string_view script, std::string& text) {
  for (const std::string_view line : split(script, '\n')) {
    const std::size_t first = line.find_first_not_of(' ');
    if (first == std::string_view::npos || line[first] == '#') continue;
    text += line;
    text += '\n';
  }
}

}  // namespace

std::string onbox_script(std::string_view name) {
  const std::string folder = "core/box/onbox/";
  std::string text;
  append_code(embedded_text(kOnboxScripts, folder + "common.sh"), text);
  append_code(embedded_text(kOnboxScripts, folder + std::string(name) + ".sh"), text);
  return text;
}

std::string onbox_word(std::string_view bytes) {
  std::string word = "=";
  for (char c : bytes) {
    require(c != '\0', "a NUL byte in a word for the box");
    if (is_plain(c)) {
      word += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    word[0] = '%';
    word += "\\0";
    for (int shift : {6, 3, 0}) word += static_cast<char>('0' + ((byte >> shift) & 7));
  }
  return word;
}

Result<std::string> onbox_answer(Result<ScriptOutcome> outcome, std::string_view what) {
  if (!outcome) return outcome.error();
  if (outcome->truncated) {
    return Error{Code::limit, std::string(what) + " answered more than we take",
                 "look at fewer runs at once, or name fewer files as artifacts"};
  }
  if (outcome->exit_code != 0) {
    return Error{Code::remote_failed,
                 std::string(what) + " failed on the box with exit code " +
                     std::to_string(outcome->exit_code) + ": " +
                     clean_line(outcome->err, kErrorWords),
                 "run `rgt audit` on the box: it shows missing tools and full disks"};
  }
  return std::move(outcome->out);
}

}  // namespace rgt
