// SPDX-License-Identifier: MIT
// Calls: what clients are waiting for, each on a thread of its own, named by a key, stopped by a
// cancellation, by its deadline or by the end of the server.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/clock.h"
#include "core/base/workers.h"

namespace rgt::mcp {

// Every method may be called from any thread.
class Calls {
 public:
  // `limit`: how long a call may take before its stop token is tripped. `at_once`: more means a
  // client that has lost count; each call holds a thread and maybe a connection.
  Calls(Seconds limit, std::size_t at_once);
  ~Calls();  // stops all calls and waits for them: no thread outlives this
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  enum class Started { yes, key_in_use, too_many };
  // Runs `work`, which must not throw. The key is free again when it returns.
  Started start(const std::string& key, std::function<void(std::stop_token)> work);
  void cancel(const std::string& key);  // unknown and finished keys are ignored
  void cancel_all(std::string_view prefix);
  // Whether the call was cancelled by its client, who then wants no answer. False for a stop by
  // stop_all() or the deadline: those are answered.
  bool was_cancelled(const std::string& key) const;
  void stop_all();
  void wait_idle(Milliseconds patience);  // until no call runs, at most this long
  void wait_idle();                       // however long it takes
  std::size_t at_once() const { return at_once_; }

 private:
  struct Running {
    std::stop_source stop = {};
    std::chrono::steady_clock::time_point until = {};
    bool cancelled = false;
  };
  void watch(std::stop_token stop);  // trips the token of calls that are over their time

  const Seconds limit_;
  const std::size_t at_once_;
  mutable std::mutex mutex_ = {};
  std::condition_variable_any changed_ = {};
  std::map<std::string, std::shared_ptr<Running>, std::less<>> running_ = {};
  Workers workers_;
  std::jthread watcher_;
};

}  // namespace rgt::mcp
