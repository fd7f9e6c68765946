// SPDX-License-Identifier: MIT
// MCP's objects as they stand on the wire, made from ours. Fields are spelled as the specification
// spells them. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/mcp/library.h"
#include "server/mcp/offer.h"

namespace rgt::mcp {

// Revisions with a handshake that we speak, newest first. A client that offers another one is
// answered with the newest and decides for itself (specification 2025-11-25, "Lifecycle").
inline constexpr std::string_view kHandshakeRevisions[] = {"2025-11-25", "2025-06-18", "2025-03-26",
                                                           "2024-11-05"};
bool is_handshake_revision(std::string_view revision);
std::string_view negotiate(std::string_view offered);
// The revision without a handshake, in which every request says by itself who asks.
inline constexpr std::string_view kStatelessRevision = "2026-07-28";

// Keys of `_meta` in that revision.
inline constexpr const char* kMetaVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr const char* kMetaCapabilities = "io.modelcontextprotocol/clientCapabilities";
inline constexpr const char* kMetaClient = "io.modelcontextprotocol/clientInfo";
inline constexpr const char* kMetaLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr const char* kMetaServer = "io.modelcontextprotocol/serverInfo";
inline constexpr const char* kMetaSubscription = "io.modelcontextprotocol/subscriptionId";
inline constexpr const char* kTasksExtension = "io.modelcontextprotocol/tasks";

inline constexpr const char* kSkillsExtension = "io.modelcontextprotocol/skills";

Json implementation(const ServerInfo& info, bool brief);
Json resource_entry(const Resource& resource);
Json template_entry(const ResourceTemplate& entry);
Json prompt_entry(const Prompt& prompt);
Json skill_entry(const Skill& skill);
Json read_result(const ReadResult& read);
Json prompt_result(const PromptResult& prompt);
// Those of `values` that begin with `start` in any case, sorted, at most 100 (the specification's
// bound), with the total.
Json complete_result(std::vector<std::string> values, const std::string& start);
// A CallToolResult that a model can read and act on.
Json tool_error(const std::string& text);

}  // namespace rgt::mcp
