// SPDX-License-Identifier: MIT
#include "server/protocol.h"

#include <algorithm>

#include "core/base/text.h"

namespace rgt::mcp {

std::string_view negotiate(std::string_view offered) {
  for (const std::string_view revision : kRevisions) {
    if (revision == offered) return revision;
  }
  return kRevisions[0];
}

Json initialize_result(const ServerInfo& info, std::string_view revision) {
  return {{"protocolVersion", revision},
          {"capabilities",
           {{"tools", Json::object()},
            {"resources", Json::object()},
            {"prompts", Json::object()},
            {"completions", Json::object()}}},
          {"serverInfo", {{"name", info.name}, {"title", info.title}, {"version", info.version}}},
          {"instructions", info.instructions}};
}

Json tools_list(const std::vector<Tool>& tools) {
  Json list = Json::array();
  for (const Tool& tool : tools) {
    const Card& card = tool.card;
    Json entry{{"name", card.name},
               {"title", card.title},
               {"description", card.description},
               {"inputSchema", card.input_schema},
               {"annotations",
                {{"readOnlyHint", card.annotations.read_only},
                 {"destructiveHint", card.annotations.destructive},
                 {"idempotentHint", card.annotations.idempotent},
                 {"openWorldHint", card.annotations.open_world}}}};
    if (!card.output_schema.is_null()) entry["outputSchema"] = card.output_schema;
    list.push_back(std::move(entry));
  }
  return {{"tools", std::move(list)}};
}

Json call_tool_result(const ToolResult& result) {
  Json reply{{"content", {{{"type", "text"}, {"text", result.text}}}},
             {"isError", result.is_error}};
  if (!result.is_error && result.structured.is_object())
    reply["structuredContent"] = result.structured;
  return reply;
}

Json resources_list(const std::vector<Resource>& resources) {
  Json list = Json::array();
  for (const Resource& resource : resources) {
    Json entry{{"uri", resource.uri},
               {"name", resource.name},
               {"title", resource.title},
               {"description", resource.description},
               {"mimeType", resource.mime_type}};
    if (resource.size > 0) entry["size"] = resource.size;
    list.push_back(std::move(entry));
  }
  return {{"resources", std::move(list)}};
}

Json templates_list(const std::vector<ResourceTemplate>& templates) {
  Json list = Json::array();
  for (const ResourceTemplate& entry : templates) {
    list.push_back({{"uriTemplate", entry.uri_template},
                    {"name", entry.name},
                    {"title", entry.title},
                    {"description", entry.description},
                    {"mimeType", entry.mime_type}});
  }
  return {{"resourceTemplates", std::move(list)}};
}

Json read_resource_result(const std::string& uri, const std::string& mime_type,
                          const std::string& text) {
  return {{"contents", {{{"uri", uri}, {"mimeType", mime_type}, {"text", text}}}}};
}

Json prompts_list(const std::vector<Prompt>& prompts) {
  Json list = Json::array();
  for (const Prompt& prompt : prompts) {
    Json arguments = Json::array();
    for (const Prompt::Argument& argument : prompt.arguments) {
      arguments.push_back({{"name", argument.name},
                           {"description", argument.description},
                           {"required", argument.required}});
    }
    list.push_back({{"name", prompt.name},
                    {"title", prompt.title},
                    {"description", prompt.description},
                    {"arguments", std::move(arguments)}});
  }
  return {{"prompts", std::move(list)}};
}

Json get_prompt_result(const std::string& description, const std::string& text) {
  return {{"description", description},
          {"messages", {{{"role", "user"}, {"content", {{"type", "text"}, {"text", text}}}}}}};
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

Json elicitation_params(const Question& question) {
  Json field{{"type", "string"}, {"minLength", 1}};
  if (!question.field_title.empty()) field["title"] = question.field_title;
  if (!question.field_description.empty()) field["description"] = question.field_description;
  return {{"message", question.message},
          {"requestedSchema",
           {{"type", "object"},
            {"properties", {{question.field, std::move(field)}}},
            {"required", {question.field}}}}};
}

Answer read_elicitation(const Json& result, const Question& question, const std::string& client) {
  const std::string action =
      result.is_object() && result.contains("action") && result["action"].is_string()
          ? result["action"].get<std::string>()
          : "";
  if (action == "decline") return {Answer::Kind::declined, "", ""};
  if (action != "accept") return {Answer::Kind::cancelled, "", ""};
  const Json content = result.value("content", Json::object());
  const auto typed = content.find(question.field);
  if (!content.is_object() || typed == content.end() || !typed->is_string()) {
    return {Answer::Kind::cancelled, "", ""};
  }
  return {Answer::Kind::given, typed->get<std::string>(), "form:" + clean_line(client, 60)};
}

}  // namespace rgt::mcp
