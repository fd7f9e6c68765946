// SPDX-License-Identifier: MIT
// The headers of revision 2026-07-28 that repeat what a request's body says, so that what stands in
// front of a server can route without reading bodies (SEP-2243): they must agree with it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "server/mcp/jsonrpc.h"

namespace rgt::mcp {

// The value of a header (any case of the name), trimmed; empty if it is absent.
using HeaderOf = std::function<std::optional<std::string>(const std::string& name)>;

// kHeaderMismatch if Mcp-Method or Mcp-Name is missing or says something else than the body.
std::optional<RpcError> check_routing_headers(const Request& request, const HeaderOf& header);
// The same for Mcp-Param-*, where the schema of the tool marks properties with x-mcp-header.
std::optional<RpcError> check_param_headers(const Json& arguments, const Json& input_schema,
                                            const HeaderOf& header);
// "=?base64?...?=" decoded; other values as they are; empty: the marks are there and the text
// between them is no base64 of valid UTF-8.
std::optional<std::string> decode_header(const std::string& value);

}  // namespace rgt::mcp
