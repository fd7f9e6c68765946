// SPDX-License-Identifier: MIT
#include "core/profile/frontmatter.h"

#include <yaml-cpp/yaml.h>

#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kFileLimit = 256u << 10;  // bytes: the longest file has a tenth of it
constexpr std::size_t kFrontmatterLimit = 64u << 10;

// Anchors and aliases can blow a small text up to a huge tree; nothing of ours needs them.
bool has_anchor(std::string_view yaml) {
  for (const std::string_view line : split(yaml, '\n')) {
    bool quoted = false;
    char quote = 0;
    char before = ' ';
    for (const char c : line) {
      if (quoted)
        quoted = c != quote;
      else if (c == '"' || c == '\'')
        quoted = true, quote = c;
      else if ((c == '&' || c == '*') &&
               (before == ' ' || before == '[' || before == ',' || before == '{'))
        return true;
      else if (c == '#' && before == ' ')
        break;
      before = c;
    }
  }
  return false;
}

// Deep nesting makes a recursive reader overflow its stack.
bool is_deep(std::string_view yaml) {
  int depth = 0;
  for (const char c : yaml) {
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > 16) return true;
  }
  for (const std::string_view line : split(yaml, '\n')) {
    const std::size_t indent = line.find_first_not_of(" -");
    if (indent != std::string_view::npos && indent > 40) return true;
  }
  return false;
}

Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // it was quoted
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return nullptr;
  // What JSON reads as a number, YAML does too; the odd ones (0x1F, .5, .inf) stay text.
  const Json number = Json::parse(text, nullptr, false);
  return number.is_number() ? number : Json(text);
}

Json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    Json map = Json::object();
    for (const auto& entry : node) map[entry.first.Scalar()] = to_json(entry.second);
    return map;
  }
  if (node.IsSequence()) {
    Json list = Json::array();
    for (const YAML::Node& item : node) list.push_back(to_json(item));
    return list;
  }
  return node.IsScalar() ? scalar(node) : Json(nullptr);
}

Error wrong(std::string_view name, const std::string& what) {
  return {Code::corrupt, std::string(name) + ": " + clean_line(what, 400),
          "see profiles/_schema.md for a profile, agentskills.io for a skill"};
}

}  // namespace

Result<std::string> frontmatter_text(std::string_view name, std::string_view markdown) {
  if (markdown.size() > kFileLimit) return wrong(name, "is larger than " + human_bytes(kFileLimit));
  if (!is_valid_utf8(markdown)) return wrong(name, "is not valid UTF-8");
  if (!markdown.starts_with("---\n"))
    return wrong(name, "does not begin with frontmatter (a line ---)");
  const std::size_t end = markdown.find("\n---\n", 3);
  if (end == std::string_view::npos)
    return wrong(name, "its frontmatter has no end (a second line ---)");
  if (end > kFrontmatterLimit)
    return wrong(name, "its frontmatter is larger than " + human_bytes(kFrontmatterLimit));
  const std::string_view yaml = markdown.substr(4, end - 3);
  if (has_anchor(yaml))
    return wrong(name, "anchors and aliases (& and *) are not allowed; quote the value");
  if (is_deep(yaml)) return wrong(name, "nests too deep");
  return std::string(yaml);
}

Result<Json> frontmatter_json(std::string_view name, std::string_view markdown) {
  const auto yaml = frontmatter_text(name, markdown);
  if (!yaml) return yaml.error();
  try {
    Json json = to_json(YAML::Load(*yaml));
    if (!json.is_object()) return wrong(name, "its frontmatter is no map of keys");
    return json;
  } catch (const YAML::Exception& error) {
    // Frontmatter begins on the file's second line; marks count from zero.
    return wrong(name, "line " + std::to_string(error.mark.line + 2) + ": " + error.msg);
  }
}

}  // namespace rgt
