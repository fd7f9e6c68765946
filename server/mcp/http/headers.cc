// SPDX-License-Identifier: MIT
#include "server/mcp/http/headers.h"

#include <map>

#include "core/base/text.h"

namespace rgt::mcp {
namespace {

RpcError mismatch(const std::string& header, const std::string& what) {
  return {kHeaderMismatch, "header " + header + " " + what, nullptr};
}

// Where the body holds what Mcp-Name repeats.
const char* named_by(const std::string& method) {
  static const std::map<std::string, const char*, std::less<>> table{
      {"tools/call", "name"},  {"prompts/get", "name"},    {"resources/read", "uri"},
      {"tasks/get", "taskId"}, {"tasks/update", "taskId"}, {"tasks/cancel", "taskId"}};
  const auto found = table.find(method);
  return found == table.end() ? nullptr : found->second;
}

bool same_value(const std::string& header, const Json& value) {
  if (value.is_string()) return header == value.get_ref<const std::string&>();
  if (value.is_boolean()) return header == (value.get<bool>() ? "true" : "false");
  if (value.is_number()) {
    const auto number = parse_double(header);  // 5 and 5.0 are the same integer
    return number && *number == value.get<double>();
  }
  return false;
}

std::optional<RpcError> check_param(const std::string& name, const Json* value,
                                    const HeaderOf& header) {
  const auto given = header(name);
  const bool in_body = value != nullptr && !value->is_null();
  if (!given) return in_body ? std::optional(mismatch(name, "is missing")) : std::nullopt;
  if (!in_body) return mismatch(name, "has a value that the arguments lack");
  const auto decoded = decode_header(*given);
  if (!decoded) return mismatch(name, "is not valid base64 of UTF-8");
  if (!same_value(*decoded, *value)) return mismatch(name, "differs from the arguments");
  return std::nullopt;
}

}  // namespace

std::optional<std::string> decode_header(const std::string& value) {
  constexpr std::string_view kBegin = "=?base64?";
  constexpr std::string_view kEnd = "?=";
  const bool marked = value.size() >= kBegin.size() + kEnd.size() && value.starts_with(kBegin) &&
                      value.ends_with(kEnd);
  if (!marked) return value;
  auto decoded =
      base64_decode(value.substr(kBegin.size(), value.size() - kBegin.size() - kEnd.size()));
  if (!decoded || !is_valid_utf8(*decoded)) return std::nullopt;
  return decoded;
}

std::optional<RpcError> check_routing_headers(const Request& request, const HeaderOf& header) {
  const auto method = header("Mcp-Method");
  if (!method) return mismatch("Mcp-Method", "is missing; expected the method of the body");
  if (*method != request.method)
    return mismatch("Mcp-Method", "differs from the method of the body");
  const char* key = named_by(request.method);
  if (key == nullptr) return std::nullopt;
  const auto in_body = request.params.find(key);
  if (in_body == request.params.end() || !in_body->is_string())
    return std::nullopt;  // the method itself says what is wrong with its parameters
  const auto name = header("Mcp-Name");
  if (!name) return mismatch("Mcp-Name", std::string("is missing; expected params.") + key);
  const auto decoded = decode_header(*name);
  if (!decoded) return mismatch("Mcp-Name", "is not valid base64 of UTF-8");
  if (*decoded != in_body->get_ref<const std::string&>())
    return mismatch("Mcp-Name", std::string("differs from params.") + key);
  return std::nullopt;
}

std::optional<RpcError> check_param_headers(const Json& arguments, const Json& input_schema,
                                            const HeaderOf& header) {
  const auto properties = input_schema.find("properties");
  if (properties == input_schema.end() || !properties->is_object()) return std::nullopt;
  for (const auto& [name, schema] : properties->items()) {
    if (!schema.is_object()) continue;
    const auto found = arguments.find(name);
    const Json* value = arguments.is_object() && found != arguments.end() ? &*found : nullptr;
    if (schema.contains("x-mcp-header") && schema["x-mcp-header"].is_string()) {
      const std::string full = "Mcp-Param-" + schema["x-mcp-header"].get<std::string>();
      if (auto wrong = check_param(full, value, header)) return wrong;
    }
    const Json inner = value != nullptr && value->is_object() ? *value : Json::object();
    if (auto wrong = check_param_headers(inner, schema, header)) return wrong;
  }
  return std::nullopt;
}

}  // namespace rgt::mcp
