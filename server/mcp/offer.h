// SPDX-License-Identifier: MIT
// Offer: what a server has for its clients. The protocol is served from this and nothing else, so
// that any program can be a server by filling it in.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/mcp/changes.h"
#include "server/mcp/context.h"
#include "server/mcp/jsonrpc.h"
#include "server/mcp/library.h"
#include "server/mcp/schema.h"

namespace rgt::mcp {

struct ServerInfo {
  std::string name = {};
  std::string title = {};
  std::string version = {};
  std::string description = {};
  std::string instructions = {};  // under 2 KB: hosts cut the rest
  Json icons = nullptr;           // specification 2025-11-25, "Icons"; left out when null
};

// One tool as the protocol sees it.
struct ServedTool {
  // As it stands in tools/list: name, description, inputSchema, and what else there is.
  Json card = Json::object();
  // Arguments that do not fit `input` are answered without calling `run`.
  std::shared_ptr<const Schema> input = {};
  std::shared_ptr<const Schema> output = {};  // for checking our own results; may be empty
  // Whether a call may become a task where the client knows the tasks extension; `always`: it can
  // only be one.
  enum class Tasks { never, allowed, always } tasks = Tasks::never;
  // Asked of the client before the call becomes a task. Empty function: nothing.
  std::function<std::vector<InputRequest>(const Json& arguments)> before_task = {};
  // The CallToolResult object, or a protocol error (for what no model can put right).
  std::function<Outcome(const Json& arguments, Context& context)> run = {};

  const std::string& name() const { return card.at("name").get_ref<const std::string&>(); }
};

using ToolList = std::vector<std::shared_ptr<const ServedTool>>;

// The tools of the moment. Safe from any thread; a list that was taken stays as it is.
class ToolSet {
 public:
  explicit ToolSet(std::vector<ServedTool> tools) {
    auto list = std::make_shared<ToolList>();
    for (ServedTool& tool : tools)
      list->push_back(std::make_shared<const ServedTool>(std::move(tool)));
    list_ = std::move(list);
  }
  std::shared_ptr<const ToolList> list() const {
    const std::scoped_lock lock(mutex_);
    return list_;
  }
  void replace(ToolList tools) {  // then tell `changes`
    const std::scoped_lock lock(mutex_);
    list_ = std::make_shared<const ToolList>(std::move(tools));
  }

 private:
  mutable std::mutex mutex_ = {};
  std::shared_ptr<const ToolList> list_ = {};
};

// Borrowed; everything outlives the server.
struct Offer {
  ServerInfo info = {};
  ToolSet& tools;
  Library& library;
  Changes& changes;
  bool lists_change = false;  // whether the lists of tools and prompts can change while we run
};

}  // namespace rgt::mcp
