// SPDX-License-Identifier: MIT
// JSON-RPC 2.0 as MCP uses it: one object per message, no batches (2025-06-18), string or integer
// ids. Bytes in, one of three messages or an error to answer with; messages out. Knows no methods.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/base/json.h"

namespace rgt::mcp {

// The codes that the JSON-RPC specification reserves, section 5.1.
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
// Code of MCP up to 2025-11-25; since then a missing resource is kInvalidParams.
inline constexpr int kResourceNotFound = -32002;
// Codes of MCP 2026-07-28, "Errors".
inline constexpr int kHeaderMismatch = -32020;
inline constexpr int kMissingCapability = -32021;
inline constexpr int kUnsupportedVersion = -32022;

struct RpcError {
  int code = kInternalError;
  std::string message = {};
  Json data = nullptr;  // left out when null
};
// How a request ends: its result object, or an error.
using Outcome = std::variant<Json, RpcError>;

struct Request {
  Json id = nullptr;  // string or integer
  std::string method = {};
  Json params = Json::object();
};
struct Notification {
  std::string method = {};
  Json params = Json::object();
};
struct Response {
  Json id = nullptr;
  Outcome outcome = Json::object();
};
using Message = std::variant<Request, Notification, Response>;

// What to answer to bytes that are no message. Without an id that could be read, MCP's schema wants
// the field left out, not null.
struct Malformed {
  std::optional<Json> id = {};
  RpcError error = {};
};

// Bounded: nesting deeper than 64 is refused before it is parsed.
std::variant<Message, Malformed> parse_message(std::string_view text);

std::string write_result(const Json& id, const Json& result);
std::string write_outcome(const Json& id, const Outcome& outcome);
std::string write_error(const std::optional<Json>& id, const RpcError& error);
std::string write_request(const Json& id, std::string_view method, const Json& params);
std::string write_notification(std::string_view method, const Json& params);

}  // namespace rgt::mcp
