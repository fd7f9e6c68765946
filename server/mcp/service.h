// SPDX-License-Identifier: MIT
// Service: MCP's methods, each written once for all revisions. A transport hands it a request and
// an Exchange; it answers with a result or an error. What belongs to one client's conversation
// (handshake, log level, subscriptions) is Session's.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "server/mcp/calls.h"
#include "server/mcp/exchange.h"
#include "server/mcp/offer.h"
#include "server/mcp/request_state.h"
#include "server/mcp/tasks.h"

namespace rgt::mcp {

struct ServiceOptions {
  Seconds call_limit = std::chrono::hours(12);  // the longest pull we have met, with room
  std::size_t calls_at_once = 64;
  // A person reads and types; then they are away. Handshake era only.
  Seconds question_limit = std::chrono::minutes(10);
  std::size_t page_size = 500;  // entries of a list; hosts have been known to read one page only
  Milliseconds lists_fresh_for = std::chrono::minutes(5);  // stateless era: ttlMs of lists
  bool check_results = false;  // hold every result against its output schema; for tests
  // Log messages for clients with a handshake that set no level.
  LogLevel log_level = LogLevel::warning;
};

// Every method may be called from any thread.
class Service {
 public:
  Service(Offer offer, const Clock& clock, ServiceOptions options = {});

  // Whether the method is served in this era, by Service or by Session.
  static bool has_method(std::string_view method, Era era);
  // Whether answering may take long or ask the client: wants a thread of its own.
  static bool takes_long(std::string_view method);

  // Never throws. Blocks as long as the work takes.
  Outcome answer(const Request& request, Exchange& exchange);

  // The pieces of an exchange that every transport needs.
  Exchange::Asking asking(Questions* questions) const;
  Json capabilities(Era era) const;

  const Offer& offer() const { return offer_; }
  const ServiceOptions& options() const { return options_; }
  Calls& calls() { return calls_; }
  // The tool a request calls; empty if there is none of that name.
  std::shared_ptr<const ServedTool> find_tool(const Json& params) const;

 private:
  struct Method {
    bool handshake = true;
    bool stateless = true;
    bool long_running = false;
    bool replayed = false;  // may ask the client by ending the call (MRTR)
    Outcome (Service::*handler)(const Request&, Exchange&) = nullptr;  // null: Session's
  };
  static const std::map<std::string, Method, std::less<>>& methods();

  Outcome handle(const Method& method, const Request& request, Exchange& exchange);
  Json complete_for(Era era, Json result) const;
  Outcome page(const char* list, std::vector<Json> entries, const char* key, const Json& params,
               const Exchange& exchange, bool shareable) const;
  RpcError no_such_tool(const Json& params) const;
  Outcome run_tool(const ServedTool& tool, const Json& arguments, Context& context) const;
  Outcome start_task(std::shared_ptr<const ServedTool> tool, const Json& arguments,
                     Exchange& exchange);

  Outcome discover(const Request& request, Exchange& exchange);
  Outcome list_tools(const Request& request, Exchange& exchange);
  Outcome call_tool(const Request& request, Exchange& exchange);
  Outcome list_resources(const Request& request, Exchange& exchange);
  Outcome list_templates(const Request& request, Exchange& exchange);
  Outcome read_resource(const Request& request, Exchange& exchange);
  Outcome list_skills(const Request& request, Exchange& exchange);
  Outcome get_skill(const Request& request, Exchange& exchange);
  Outcome list_prompts(const Request& request, Exchange& exchange);
  Outcome get_prompt(const Request& request, Exchange& exchange);
  Outcome complete(const Request& request, Exchange& exchange);
  Outcome listen(const Request& request, Exchange& exchange);
  Outcome get_task(const Request& request, Exchange& exchange);
  Outcome update_task(const Request& request, Exchange& exchange);
  Outcome cancel_task(const Request& request, Exchange& exchange);

  const Offer offer_;
  const Clock& clock_;
  const ServiceOptions options_;
  const RequestState seal_ = {};
  Calls calls_;
  Tasks tasks_;  // after calls_: its work runs there, and it waits for it first
};

}  // namespace rgt::mcp
