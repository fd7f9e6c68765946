// SPDX-License-Identifier: MIT
// Session: one client's conversation in the revisions with a handshake (2024-11-05 to 2025-11-25):
// who it is, what it wants logged, which resources it follows, what we have asked it. Knows no
// transport.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "server/mcp/changes.h"
#include "server/mcp/exchange.h"
#include "server/mcp/jsonrpc.h"
#include "server/mcp/questions.h"
#include "server/mcp/service.h"

namespace rgt::mcp {

// Every method may be called from any thread.
class Session {
 public:
  // `news` sends what belongs to no request (a list changed, a resource was updated); it may be
  // called from any thread, after initialize and until the session goes.
  Session(Service& service, std::function<void(const std::string& message)> news);

  // Whether initialize was answered.
  bool is_open() const { return open_; }
  std::string revision() const;
  // The client as an exchange needs it.
  Peer peer() const;

  // Answers a request of this era; see Service::answer.
  Outcome answer(const Request& request, Exchange& exchange);
  void answered(Response response) { questions_.answered(std::move(response)); }
  Questions& questions() { return questions_; }
  void close() { questions_.close(); }  // the client is gone: whoever waits for it is woken

  static constexpr std::size_t kMostSubscriptions = 1000;

 private:
  Outcome initialize(const Json& params);
  Outcome set_level(const Json& params);
  Outcome subscribe(const Json& params, bool on);
  void tell(const Change& change);

  Service& service_;
  const std::function<void(const std::string&)> news_;
  std::atomic<bool> open_ = false;
  mutable std::mutex mutex_ = {};
  std::string revision_ = {};
  Peer peer_ = {};
  std::set<std::string> followed_ = {};  // URIs
  Questions questions_ = {};
  Changes::Subscription subscription_ = {};  // last: its listener uses all of the above
};

}  // namespace rgt::mcp
