// SPDX-License-Identifier: MIT
// The conversations of clients with a handshake over HTTP: found by the Mcp-Session-Id header,
// forgotten when they are ended or stay silent for long.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "server/mcp/http/event_stream.h"
#include "server/mcp/service.h"
#include "server/mcp/session.h"

namespace rgt::mcp {

// One of them. Shared by the connections and calls that work for it.
class HttpSession {
 public:
  HttpSession(std::string id, Service& service);

  const std::string& id() const { return id_; }
  Session& session() { return session_; }
  // What belongs to no request; read through GET.
  std::shared_ptr<EventStream> news() { return news_; }
  // A stream for one request; kept for a while after its end, so that a client can come back.
  std::shared_ptr<EventStream> open_stream();
  // The stream and position that an event id names; null if it is not known any more.
  std::shared_ptr<EventStream> find_stream(const std::string& event_id, std::uint64_t& position);
  // The key of a request of this client among all calls.
  std::string key_of(const Json& request_id) const { return id_ + "/" + request_id.dump(); }

  void touch() { last_used_ = std::chrono::steady_clock::now(); }
  std::chrono::steady_clock::time_point last_used() const { return last_used_; }
  bool is_busy();  // a request of it is still worked on
  void close();    // ends its streams and wakes whoever waits for the client

  static constexpr std::size_t kKeptStreams = 64;
  static constexpr std::size_t kKeptBytes = 16u << 20;  // of all streams together

 private:
  void forget_old();

  const std::string id_;
  const std::shared_ptr<EventStream> news_;
  std::mutex mutex_ = {};
  std::map<std::uint64_t, std::shared_ptr<EventStream>> streams_ = {};
  std::uint64_t next_ = 1;
  std::atomic<std::chrono::steady_clock::time_point> last_used_;
  Session session_;  // last: it tells news_ what is new until it goes
};

// Every method may be called from any thread.
class HttpSessions {
 public:
  HttpSessions(Service& service, Seconds idle, std::size_t most)
      : service_(service), idle_(idle), most_(most) {}

  std::shared_ptr<HttpSession> create();                     // null: too many, and all in use
  std::shared_ptr<HttpSession> find(const std::string& id);  // null: unknown, ended or expired
  bool end(const std::string& id);                           // stops its calls
  // Ends those that were silent for too long.
  void expire(std::chrono::steady_clock::time_point now);
  void close_all();
  std::size_t count();

 private:
  void finish(const std::shared_ptr<HttpSession>& session);

  Service& service_;
  const Seconds idle_;
  const std::size_t most_;
  std::mutex mutex_ = {};
  std::map<std::string, std::shared_ptr<HttpSession>> sessions_ = {};
};

}  // namespace rgt::mcp
