// SPDX-License-Identifier: MIT
// Questions: requests of ours that a client with a handshake has not answered yet.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "server/mcp/jsonrpc.h"

namespace rgt::mcp {

// Every method may be called from any thread.
class Questions {
 public:
  struct Question {
    std::string method = {};
    Json params = Json::object();
  };
  using Send = std::function<bool(const std::string& message)>;
  // Sends all and waits for all, in order. An entry is empty where the call was stopped, the client
  // is gone, or `patience` ran out; the client is then told that we no longer wait.
  std::vector<std::optional<Response>> ask(const std::vector<Question>& questions,
                                           std::stop_token stop, Seconds patience,
                                           const Send& send);
  void answered(Response response);  // an answer that nobody waits for is ignored
  void close();                      // the client is gone: wakes everyone, now and later

 private:
  std::mutex mutex_ = {};
  std::condition_variable_any changed_ = {};
  std::map<std::string, std::optional<Response>> open_ = {};  // key: the id as JSON text
  std::int64_t next_ = 1;
  bool closed_ = false;
};

}  // namespace rgt::mcp
