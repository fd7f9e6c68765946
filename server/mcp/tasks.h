// SPDX-License-Identifier: MIT
// Tasks: tool calls that a client follows by polling instead of waiting (extension
// io.modelcontextprotocol/tasks, SEP-2663; revision 2026-07-28 only). They live in this process:
// after a restart a task is unknown, and the same tool call finds the work by its own handle.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "server/mcp/calls.h"
#include "server/mcp/changes.h"
#include "server/mcp/context.h"
#include "server/mcp/exchange.h"
#include "server/mcp/jsonrpc.h"

namespace rgt::mcp {

// Every method may be called from any thread.
class Tasks {
 public:
  // Everything is borrowed and outlives this. Tells `changes` of every step of a task.
  Tasks(const Clock& clock, Calls& calls, Changes& changes)
      : clock_(clock), calls_(calls), changes_(changes) {}
  ~Tasks();  // stops what runs and waits for it

  using Work = std::function<Outcome(Context& context)>;
  // Starts `work` for `peer`; the CreateTaskResult object, or an error when too much runs already.
  // `answers`: inputs that the client gave before there was a task.
  Outcome create(Peer peer, std::map<std::string, Json> answers, Work work);

  // The three methods of the extension; kInvalidParams for a task that is not known.
  Outcome get(const Json& params);
  Outcome update(const Json& params);
  Outcome cancel(const Json& params);
  // What notifications/tasks carries; empty for a task that is not known.
  std::optional<Json> describe(const std::string& id);

  // A client that lost a day has lost interest; the work itself is in the ledger.
  static constexpr Milliseconds kKept = std::chrono::hours(24);
  static constexpr std::size_t kMost = 256;  // the oldest that ended are forgotten first

 private:
  struct Task;
  class TaskContext;
  std::shared_ptr<Task> find(const Json& params);
  Json described(Task& task);
  void touch(Task& task);  // notes the time and tells listeners; without the task's lock
  void forget_old(Time now);

  const Clock& clock_;
  Calls& calls_;
  Changes& changes_;
  std::mutex mutex_ = {};
  std::condition_variable idle_ = {};
  std::map<std::string, std::shared_ptr<Task>> tasks_ = {};
  std::size_t running_ = 0;
};

}  // namespace rgt::mcp
