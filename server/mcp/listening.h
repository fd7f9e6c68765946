// SPDX-License-Identifier: MIT
// subscriptions/listen (2026-07-28, "Subscriptions"): one request that stays open and brings the
// kinds of news that it named, each message tagged with the request's id.
#pragma once

#include <set>
#include <string>
#include <variant>

#include "server/mcp/changes.h"
#include "server/mcp/exchange.h"
#include "server/mcp/jsonrpc.h"
#include "server/mcp/tasks.h"

namespace rgt::mcp {

struct ListenFilter {
  bool tools = false;
  bool prompts = false;
  bool resources = false;
  std::set<std::string> uris = {};
  std::set<std::string> tasks = {};

  bool wants(const Change& change) const;
  Json accepted() const;  // as the acknowledgement says it
};

// `lists_change`: whether tools and prompts can change at all; asked for in vain they are left out.
std::variant<ListenFilter, RpcError> read_filter(const Json& params, bool lists_change);

// Until the exchange is stopped. News that comes faster than the client reads is told once.
Outcome run_listener(const ListenFilter& filter, Changes& changes, Tasks& tasks,
                     Exchange& exchange);

}  // namespace rgt::mcp
