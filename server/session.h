// SPDX-License-Identifier: MIT
// Session: one client's conversation with a handshake (revisions 2024-11-05 to 2025-11-25). One
// thread reads and answers at once what needs no work; tool calls run on threads of their own, so
// that a ping is answered while a pull takes an hour.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "server/calls.h"
#include "server/jsonrpc.h"
#include "server/protocol.h"
#include "server/resources.h"
#include "server/schema.h"
#include "server/transport.h"
#include "tools/tool.h"

namespace rgt::mcp {

struct SessionOptions {
  Seconds call_limit = std::chrono::hours(12);  // the longest pull we have met, with room
  Seconds question_limit =
      std::chrono::minutes(10);  // a person reads and types; then they are away
  bool check_results = false;    // hold every result against its output schema; for tests
};

class Session {
 public:
  // Everything is borrowed and must outlive the session.
  Session(ServerInfo info, const std::vector<Tool>& tools, Library& library, const Clock& clock,
          Transport& transport, SessionOptions options = {});

  // Until the client closes or is gone. Calls that still run then get a moment to answer, and are
  // stopped; the destructor waits for them.
  void serve();

 private:
  using Outcome = std::variant<Json, RpcError>;
  struct Method {
    bool before_initialize = false;
    Outcome (Session::*handler)(const Json& params) = nullptr;
  };
  static const std::map<std::string, Method, std::less<>>& methods();

  void on_message(const std::string& text);
  void on_request(const Request& request);
  void on_notification(const Notification& notification);
  void call_tool(const Request& request);
  ToolResult run_tool(const Tool& tool, std::size_t index, const Json& arguments,
                      const Request& request, std::stop_token stop);
  Answer ask(const Question& question, std::stop_token stop);
  std::function<void(double, double, const std::string&)> progress_of(const Request& request);
  void send(const std::string& message);

  Outcome initialize(const Json& params);
  Outcome ping(const Json& params);
  Outcome list_tools(const Json& params);
  Outcome list_resources(const Json& params);
  Outcome list_templates(const Json& params);
  Outcome read_resource(const Json& params);
  Outcome list_prompts(const Json& params);
  Outcome get_prompt(const Json& params);
  Outcome complete(const Json& params);

  const ServerInfo info_;
  const std::vector<Tool>& tools_;
  Library& library_;
  const Clock& clock_;
  Transport& transport_;
  const SessionOptions options_;
  std::vector<Schema> input_schemas_ = {};
  std::vector<Schema> output_schemas_ = {};
  bool initialized_ = false;
  // Written by the reading thread during initialize, before any call can exist.
  std::string client_name_ = {};
  bool client_has_forms_ = false;
  std::atomic<bool> gone_ = false;
  Questions questions_ = {};
  Calls calls_;  // last: its threads use everything above, and it waits for them first
};

}  // namespace rgt::mcp
