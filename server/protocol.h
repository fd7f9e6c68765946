// SPDX-License-Identifier: MIT
// MCP's objects as they stand on the wire, made from ours. Fields are spelled as the specification
// spells them. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "server/resources.h"
#include "tools/tool.h"

namespace rgt::mcp {

// Revisions with a handshake that we speak, newest first. A client that offers another one is
// answered with the newest and decides for itself (specification 2025-11-25, "Lifecycle").
inline constexpr std::string_view kRevisions[] = {"2025-11-25", "2025-06-18", "2025-03-26",
                                                  "2024-11-05"};
std::string_view negotiate(std::string_view offered);

struct ServerInfo {
  std::string name = {};
  std::string title = {};
  std::string version = {};
  std::string instructions = {};  // under 2 KB: hosts cut the rest
};

Json initialize_result(const ServerInfo& info, std::string_view revision);
Json tools_list(const std::vector<Tool>& tools);
// Text and structure, each complete by itself: hosts show the model one or the other.
Json call_tool_result(const ToolResult& result);
Json resources_list(const std::vector<Resource>& resources);
Json templates_list(const std::vector<ResourceTemplate>& templates);
Json read_resource_result(const std::string& uri, const std::string& mime_type,
                          const std::string& text);
Json prompts_list(const std::vector<Prompt>& prompts);
Json get_prompt_result(const std::string& description, const std::string& text);
// At most 100 values, the specification's bound, with the total.
Json complete_result(std::vector<std::string> values, const std::string& start);

// A form with one text field that is neither prefilled nor defaulted.
Json elicitation_params(const Question& question);
// What came back; a form that was accepted without its field is no answer.
Answer read_elicitation(const Json& result, const Question& question, const std::string& client);

}  // namespace rgt::mcp
