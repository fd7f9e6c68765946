// SPDX-License-Identifier: MIT
#include "server/mcp/wire.h"

#include <algorithm>

#include "core/base/text.h"

namespace rgt::mcp {

bool is_handshake_revision(std::string_view revision) {
  return std::find(std::begin(kHandshakeRevisions), std::end(kHandshakeRevisions), revision) !=
         std::end(kHandshakeRevisions);
}

std::string_view negotiate(std::string_view offered) {
  return is_handshake_revision(offered) ? offered : kHandshakeRevisions[0];
}

Json implementation(const ServerInfo& info, bool brief) {
  Json entry{{"name", info.name}, {"version", info.version}};
  if (!info.title.empty()) entry["title"] = info.title;
  if (brief) return entry;
  if (!info.description.empty()) entry["description"] = info.description;
  if (!info.icons.is_null()) entry["icons"] = info.icons;
  return entry;
}

Json resource_entry(const Resource& resource) {
  Json entry{{"uri", resource.uri},
             {"name", resource.name},
             {"title", resource.title},
             {"description", resource.description},
             {"mimeType", resource.mime_type}};
  if (resource.size > 0) entry["size"] = resource.size;
  if (!resource.annotations.is_null()) entry["annotations"] = resource.annotations;
  if (!resource.icons.is_null()) entry["icons"] = resource.icons;
  return entry;
}

Json template_entry(const ResourceTemplate& entry) {
  return {{"uriTemplate", entry.uri_template},
          {"name", entry.name},
          {"title", entry.title},
          {"description", entry.description},
          {"mimeType", entry.mime_type}};
}

Json prompt_entry(const Prompt& prompt) {
  Json arguments = Json::array();
  for (const Prompt::Argument& argument : prompt.arguments) {
    arguments.push_back({{"name", argument.name},
                         {"description", argument.description},
                         {"required", argument.required}});
  }
  return {{"name", prompt.name},
          {"title", prompt.title},
          {"description", prompt.description},
          {"arguments", std::move(arguments)}};
}

Json skill_entry(const Skill& skill) {
  Json files = Json::array();
  for (const Skill::File& file : skill.files)
    files.push_back({{"uri", file.uri}, {"digest", "sha256:" + file.sha256}, {"size", file.size}});
  return {{"uri", skill.uri}, {"frontmatter", skill.frontmatter}, {"resources", std::move(files)}};
}

Json read_result(const ReadResult& read) {
  Json contents = Json::array();
  for (const Contents& one : read.contents) {
    Json entry{{"uri", one.uri}, {"mimeType", one.mime_type}};
    if (one.binary)
      entry["blob"] = base64_encode(one.bytes);
    else
      entry["text"] = one.bytes;
    contents.push_back(std::move(entry));
  }
  return {{"contents", std::move(contents)}};
}

PromptResult user_prompt(const std::string& description, const std::string& text) {
  return {description,
          Json::array({{{"role", "user"}, {"content", {{"type", "text"}, {"text", text}}}}})};
}

Json prompt_result(const PromptResult& prompt) {
  return {{"description", prompt.description}, {"messages", prompt.messages}};
}

Json complete_result(std::vector<std::string> values, const std::string& start) {
  constexpr std::size_t kMost = 100;
  std::erase_if(values, [&](const std::string& value) {
    return !to_lower(value).starts_with(to_lower(start));
  });
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  const std::size_t total = values.size();
  if (total > kMost) values.resize(kMost);
  return {{"completion", {{"values", values}, {"total", total}, {"hasMore", total > kMost}}}};
}

Json tool_error(const std::string& text) {
  return {{"content", Json::array({{{"type", "text"}, {"text", text}}})}, {"isError", true}};
}

}  // namespace rgt::mcp
