// SPDX-License-Identifier: MIT
// A transport in memory, and a conversation with the sample server over it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>

#include <catch2/catch.hpp>

#include "server/mcp/stdio_server.h"
#include "server/mcp/wire.h"
#include "tests/server/mcp/samples.h"
#include "tests/server/mcp/wire_log.h"

namespace rgt::mcp {

class MemoryTransport final : public Transport {
 public:
  Incoming read() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !incoming_.empty(); });
    if (incoming_.empty()) return {};
    Incoming next = std::move(incoming_.front());
    incoming_.pop_front();
    return next;
  }
  bool write(const std::string& message) override {
    log_.server(message);
    const std::scoped_lock lock(mutex_);
    outgoing_.push_back(Json::parse(message));
    changed_.notify_all();
    return true;
  }
  void say(const Json& message) {
    log_.client(message.dump());
    say_wrong(message);
  }
  // What may not be a message of the protocol; the log of the wire leaves it out.
  void say_wrong(const Json& message) { put({Incoming::Kind::message, message.dump()}); }
  void put(Incoming incoming) {
    const std::scoped_lock lock(mutex_);
    incoming_.push_back(std::move(incoming));
    changed_.notify_all();
  }
  void close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  // The first message that `fits`, taken out; fails the test after 10 s.
  Json wait_for(const std::function<bool(const Json&)>& fits) {
    std::unique_lock lock(mutex_);
    Json found;
    const bool came = changed_.wait_for(lock, Seconds(10), [&] {
      for (auto at = outgoing_.begin(); at != outgoing_.end(); ++at) {
        if (!fits(*at)) continue;
        found = *at;
        outgoing_.erase(at);
        return true;
      }
      return false;
    });
    REQUIRE(came);
    return found;
  }
  Json answer_to(const Json& id) {
    return wait_for([&](const Json& message) {
      return message.contains("id") && message["id"] == id && !message.contains("method");
    });
  }
  std::size_t unread() {
    const std::scoped_lock lock(mutex_);
    return outgoing_.size();
  }

 private:
  std::mutex mutex_ = {};
  std::condition_variable changed_ = {};
  std::deque<Incoming> incoming_ = {};
  std::deque<Json> outgoing_ = {};
  bool closed_ = false;
  WireLog log_ = {};
};

struct Conversation {
  SampleServer sample;
  MemoryTransport transport = {};
  std::jthread server;

  explicit Conversation(ServiceOptions options = {}) : sample(options) {
    server = std::jthread([this] {
      StdioServer stdio(sample.service, transport);
      stdio.serve();
    });
  }
  ~Conversation() { transport.close(); }

  Json request(const Json& id, const std::string& method, const Json& params = Json::object()) {
    transport.say({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
    return transport.answer_to(id);
  }
  void call(const Json& id, const std::string& name, const Json& arguments = Json::object(),
            const Json& meta = nullptr) {
    Json params{{"name", name}, {"arguments", arguments}};
    if (!meta.is_null()) params["_meta"] = meta;
    transport.say({{"jsonrpc", "2.0"}, {"id", id}, {"method", "tools/call"}, {"params", params}});
  }
  void hello(const Json& capabilities = Json::object(),
             const std::string& revision = "2025-11-25") {
    const Json answer = request("hello", "initialize",
                                {{"protocolVersion", revision},
                                 {"capabilities", capabilities},
                                 {"clientInfo", {{"name", "tester"}, {"version", "1"}}}});
    REQUIRE(answer.contains("result"));
    transport.say({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  }
};

// The same client in the stateless era: every request says who asks.
inline Json stateless_meta(const Json& capabilities = Json::object()) {
  return {{kMetaVersion, kStatelessRevision},
          {kMetaCapabilities, capabilities},
          {kMetaClient, {{"name", "tester"}, {"version", "1"}}}};
}

}  // namespace rgt::mcp
