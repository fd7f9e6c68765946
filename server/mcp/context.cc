// SPDX-License-Identifier: MIT
#include "server/mcp/context.h"

#include <array>

#include "server/mcp/schema.h"

namespace rgt::mcp {
namespace {

constexpr std::array<std::string_view, 8> kLevels{"debug", "info",     "notice", "warning",
                                                  "error", "critical", "alert",  "emergency"};

bool has_object(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_object();
}

std::optional<std::string> malformed_form(const Json& params, const Json& answer) {
  const auto action = answer.find("action");
  const bool known = action != answer.end() &&
                     (*action == "accept" || *action == "decline" || *action == "cancel");
  if (!known) return "action: expected accept, decline or cancel";
  if (*action != "accept" || params.value("mode", "form") != "form") return std::nullopt;
  const Json content = answer.value("content", Json::object());
  if (!content.is_object()) return "content: expected an object";
  return Schema(params.at("requestedSchema")).mismatch(content);
}

std::optional<std::string> malformed_message(const Json& answer) {
  if (!answer.contains("content") ||
      !(answer["content"].is_object() || answer["content"].is_array()))
    return "content: expected a content block or a list of them";
  if (!answer.contains("role") || !answer["role"].is_string()) return "role: expected a string";
  if (!answer.contains("model") || !answer["model"].is_string()) return "model: expected a string";
  return std::nullopt;
}

std::optional<std::string> malformed_roots(const Json& answer) {
  const auto roots = answer.find("roots");
  if (roots == answer.end() || !roots->is_array()) return "roots: expected a list";
  for (const Json& root : *roots) {
    if (!root.is_object() || !root.contains("uri") || !root["uri"].is_string())
      return "roots: expected objects with a uri";
  }
  return std::nullopt;
}

}  // namespace

std::optional<LogLevel> log_level(std::string_view name) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::string_view name_of(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

bool can_be_asked(const Json& capabilities, const InputRequest& request, Json* missing) {
  Json needed;
  bool can = false;
  if (request.method == "elicitation/create") {
    const std::string mode = request.params.value("mode", "form");
    const bool declared = has_object(capabilities, "elicitation");
    const Json modes = declared ? capabilities["elicitation"] : Json::object();
    // An empty object means forms (specification 2025-11-25, "Elicitation", Capabilities).
    can = declared && (has_object(modes, mode.c_str()) || (mode == "form" && modes.empty()));
    needed = {{"elicitation", {{mode, Json::object()}}}};
  } else if (request.method == "sampling/createMessage") {
    can = has_object(capabilities, "sampling");
    needed = {{"sampling", Json::object()}};
  } else if (request.method == "roots/list") {
    can = has_object(capabilities, "roots");
    needed = {{"roots", Json::object()}};
  }
  if (!can && missing != nullptr) *missing = std::move(needed);
  return can;
}

std::optional<std::string> malformed_input(const InputRequest& request, const Json& answer) {
  if (!answer.is_object()) return "expected an object";
  if (request.method == "elicitation/create") return malformed_form(request.params, answer);
  if (request.method == "sampling/createMessage") return malformed_message(answer);
  return malformed_roots(answer);
}

}  // namespace rgt::mcp
