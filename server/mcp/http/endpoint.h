// SPDX-License-Identifier: MIT
// Endpoint: one HTTP request of MCP answered as its revision says. 2025-11-25 and older: sessions,
// resumable streams, GET and DELETE. 2026-07-28: each POST for itself, headers that agree with the
// body, and a client that hangs up has cancelled. Both at one path, told apart message by message.
#pragma once

#include <httplib.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "server/mcp/http/connection.h"
#include "server/mcp/http/event_stream.h"
#include "server/mcp/http/http_sessions.h"
#include "server/mcp/service.h"

namespace rgt::mcp {

struct EndpointLimits {
  Seconds session_idle = std::chrono::minutes(30);
  std::size_t sessions = 256;
  std::size_t body = 4u << 20;  // bytes
  // A call that has said nothing for so long is answered with a stream, so that the client hears
  // from us and can come back to it.
  Milliseconds silence_before_stream = Seconds(1);
};

// Every method may be called from any thread; post, get and remove by a connection's own.
class Endpoint {
 public:
  Endpoint(Service& service, Connections& connections, EndpointLimits limits = {});

  void post(const httplib::Request& request, httplib::Response& response,
            const httplib::ContentReader& read);
  void get(const httplib::Request& request, httplib::Response& response);
  void remove(const httplib::Request& request, httplib::Response& response);

  void expire_sessions() { sessions_.expire(std::chrono::steady_clock::now()); }
  void stop_accepting() { closing_ = true; }
  void close_sessions() { sessions_.close_all(); }
  std::size_t session_count() { return sessions_.count(); }

 private:
  struct Reply;
  bool read_body(const httplib::Request& request, httplib::Response& response,
                 const httplib::ContentReader& read, std::string& body);
  std::shared_ptr<HttpSession> session_of(const httplib::Request& request,
                                          httplib::Response& response);
  void post_request(const httplib::Request& http, httplib::Response& response, Request request);
  void post_stateless(const httplib::Request& http, httplib::Response& response, Request request);
  void post_handshake(const httplib::Request& http, httplib::Response& response, Request request);
  void initialize(httplib::Response& response, const Request& request);
  void start(const httplib::Request& http, httplib::Response& response, Request request, Peer peer,
             std::shared_ptr<HttpSession> session);
  void answer_with(const httplib::Request& http, httplib::Response& response, Reply reply);
  void stream(httplib::Response& response, Reply reply, std::uint64_t position);
  Outcome run(const Request& request, const Peer& peer, HttpSession* session,
              const std::shared_ptr<EventStream>& stream, std::stop_token stop,
              const std::string& key);

  Service& service_;
  Connections& connections_;
  const EndpointLimits limits_;
  HttpSessions sessions_;
  std::atomic<bool> closing_ = false;
  std::atomic<std::uint64_t> next_call_ = 1;
};

// The name of the header by which a handler finds its connection; set by the server for every
// request, whatever the client sent.
inline constexpr const char* kConnectionHeader = "X-Rgt-Connection";

// An error that belongs to no request that could be read.
void refuse(httplib::Response& response, int status, const std::string& message,
            int code = kInvalidRequest);

}  // namespace rgt::mcp
