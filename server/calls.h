// SPDX-License-Identifier: MIT
// Calls in flight: one thread each, cancelled by id, answered exactly once. Also the requests that
// we have open at the client (questions to its user).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "server/jsonrpc.h"

namespace rgt::mcp {

// Every method may be called from any thread; start() and the destructor by the session's own only.
class Calls {
 public:
  // `limit`: how long a call may take before its stop token is tripped.
  explicit Calls(Seconds limit);
  ~Calls();  // stops all calls and waits for them: no thread outlives this
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  // More at once means a client that has lost count: each call holds a thread and maybe a
  // connection.
  static constexpr std::size_t kAtOnce = 64;

  enum class Started { yes, id_in_use, too_many };
  // Runs `work` on a thread of its own. `work` must not throw.
  Started start(const Json& id, std::function<void(std::stop_token)> work);
  void cancel(const Json& id);  // unknown and finished ids are ignored
  void stop_all();
  // Waits until no call runs, at most this long.
  void wait_idle(Milliseconds patience);
  bool was_cancelled(const Json& id) const;

 private:
  struct Running {
    std::stop_source stop = {};
    std::chrono::steady_clock::time_point until = {};
    bool cancelled = false;
    bool finished = false;
    std::thread thread = {};
  };
  void reap();                       // joins what has finished
  void watch(std::stop_token stop);  // trips the token of calls that are over their time

  const Seconds limit_;
  mutable std::mutex mutex_ = {};
  std::condition_variable_any changed_ = {};
  std::map<std::string, std::shared_ptr<Running>> running_ = {};  // key: the id as JSON text
  std::jthread watcher_ = {};
};

// Requests of ours to the client: a number each, waited for by the thread that asked.
class Questions {
 public:
  using Send = std::function<bool(const std::string& message)>;
  // Sends and waits. Empty if the call was stopped, the client is gone, or `patience` ran out.
  std::optional<Response> ask(const std::string& method, const Json& params, std::stop_token stop,
                              Seconds patience, const Send& send);
  void answered(Response response);  // an answer that nobody waits for is ignored
  void close();                      // the client is gone: wake everyone

 private:
  std::mutex mutex_ = {};
  std::condition_variable_any changed_ = {};
  std::map<std::string, std::optional<Response>> open_ = {};
  std::int64_t next_ = 1;
  bool closed_ = false;
};

}  // namespace rgt::mcp
