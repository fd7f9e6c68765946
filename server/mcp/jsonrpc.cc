// SPDX-License-Identifier: MIT
#include "server/mcp/jsonrpc.h"

#include "core/base/text.h"

namespace rgt::mcp {
namespace {

// No MCP message nests deeper than a tool's arguments do; far more is an attack on a recursive
// reader.
constexpr int kDepthLimit = 64;

bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kDepthLimit) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// Output must be valid UTF-8 whatever a tool put into it.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_id(const Json& id) { return id.is_string() || id.is_number_integer(); }

Malformed invalid(const Json& message, std::string what) {
  Malformed malformed;
  if (message.is_object() && message.contains("id") && is_id(message["id"]))
    malformed.id = message["id"];
  malformed.error = {kInvalidRequest, std::move(what), nullptr};
  return malformed;
}

std::variant<Message, Malformed> parse_response(const Json& message) {
  if (!message.contains("id") || !is_id(message["id"]))
    return invalid(message, "a response needs the id of its request");
  if (message.contains("result") && message.contains("error"))
    return invalid(message, "a response has a result or an error, not both");
  if (message.contains("result")) return Message(Response{message["id"], message["result"]});
  const Json& error = message["error"];
  if (!error.is_object()) return invalid(message, "error: expected an object");
  RpcError told;
  if (error.contains("code") && error["code"].is_number_integer())
    told.code = error["code"].get<int>();
  if (error.contains("message") && error["message"].is_string())
    told.message = error["message"].get<std::string>();
  return Message(Response{message["id"], told});
}

}  // namespace

std::variant<Message, Malformed> parse_message(std::string_view text) {
  if (!is_valid_utf8(text))
    return Malformed{{}, {kParseError, "the message is not valid UTF-8", nullptr}};
  if (is_too_deep(text)) {
    return Malformed{
        {},
        {kParseError, "the message nests deeper than " + std::to_string(kDepthLimit) + " levels",
         nullptr}};
  }
  Json message = Json::parse(text, nullptr, false);
  if (message.is_discarded())
    return Malformed{{}, {kParseError, "the message is not JSON", nullptr}};
  if (message.is_array())
    return invalid(message,
                   "batches are not part of MCP since 2025-06-18: send one message at a time");
  if (!message.is_object()) return invalid(message, "expected a JSON object");
  if (!message.contains("jsonrpc") || message["jsonrpc"] != "2.0")
    return invalid(message, "jsonrpc: expected \"2.0\"");
  if (!message.contains("method")) {
    if (message.contains("result") || message.contains("error")) return parse_response(message);
    return invalid(message, "method: is missing");
  }
  if (!message["method"].is_string()) return invalid(message, "method: expected a string");
  Json params = Json::object();
  if (const auto given = message.find("params"); given != message.end()) {
    if (!given->is_object()) return invalid(message, "params: expected an object");
    params = std::move(*given);
  }
  std::string method = std::move(message["method"].get_ref<std::string&>());
  if (!message.contains("id")) return Message(Notification{std::move(method), std::move(params)});
  if (!is_id(message["id"])) return invalid(message, "id: expected a string or an integer");
  return Message(Request{std::move(message["id"]), std::move(method), std::move(params)});
}

std::string write_result(const Json& id, const Json& result) {
  return dump({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
}

std::string write_outcome(const Json& id, const Outcome& outcome) {
  if (const auto* error = std::get_if<RpcError>(&outcome)) return write_error(id, *error);
  return write_result(id, std::get<Json>(outcome));
}

std::string write_error(const std::optional<Json>& id, const RpcError& error) {
  Json body{{"code", error.code}, {"message", error.message}};
  if (!error.data.is_null()) body["data"] = error.data;
  Json message{{"jsonrpc", "2.0"}, {"error", std::move(body)}};
  if (id) message["id"] = *id;
  return dump(message);
}

std::string write_request(const Json& id, std::string_view method, const Json& params) {
  return dump({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
}

std::string write_notification(std::string_view method, const Json& params) {
  return dump({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
}

}  // namespace rgt::mcp
