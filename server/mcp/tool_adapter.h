// SPDX-License-Identifier: MIT
// Serves a tool of this product (tools/tool.h), which knows nothing of MCP, to clients of MCP.
#pragma once

#include "core/base/clock.h"
#include "server/mcp/offer.h"
#include "tools/tool.h"

namespace rgt::mcp {

// `clock` is borrowed and outlives the result.
ServedTool serve_tool(const Tool& tool, const Clock& clock);

// The CallToolResult object: text and structure, each complete by itself, because hosts show the
// model one or the other.
Json call_tool_result(const ToolResult& result);

}  // namespace rgt::mcp
