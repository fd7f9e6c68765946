// SPDX-License-Identifier: MIT
// The sample server on a free port of 127.0.0.1, and two ways to talk to it: HTTP requests made by
// a library, and bytes of our own choosing.
#pragma once

#include <arpa/inet.h>
#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include <catch2/catch.hpp>

#include "core/base/result.h"
#include "server/mcp/http/http_server.h"
#include "server/mcp/wire.h"
#include "tests/server/mcp/samples.h"
#include "tests/server/mcp/wire_log.h"

namespace rgt::mcp {

struct HttpSample {
  SampleServer sample;
  std::unique_ptr<HttpServer> server;
  std::stop_source stop = {};
  std::shared_ptr<WireLog> log = std::make_shared<WireLog>();
  std::jthread thread;

  explicit HttpSample(HttpOptions options = {}, ServiceOptions service = {}) : sample(service) {
    auto bound = HttpServer::bind(sample.service, std::move(options));
    REQUIRE(bound.ok());
    server = std::move(*bound);
    thread = std::jthread([this] { server->serve(stop.get_token()); });
  }
  ~HttpSample() { end(); }
  void end() {
    stop.request_stop();
    if (thread.joinable()) thread.join();
  }
  int port() const { return server->port(); }
};

struct HttpAnswer {
  int status = 0;
  Json body = nullptr;
  httplib::Headers headers = {};
};

// One client of the handshake era, or of none.
class HttpTalk {
 public:
  explicit HttpTalk(const HttpSample& server)
      : client_("127.0.0.1", server.port()), log_(server.log) {
    client_.set_keep_alive(true);
    client_.set_read_timeout(Seconds(20));
  }
  HttpAnswer post(const Json& message, httplib::Headers headers = {}) {
    for (const auto& [name, value] : standing) headers.emplace(name, value);
    const std::string text = message.is_string() ? message.get<std::string>() : message.dump();
    log_->client(text);
    return read(client_.Post("/mcp", headers, text, "application/json"));
  }
  HttpAnswer get(httplib::Headers headers = {}) {
    for (const auto& [name, value] : standing) headers.emplace(name, value);
    return read(client_.Get("/mcp", headers));
  }
  HttpAnswer remove() { return read(client_.Delete("/mcp", standing)); }

  // Shakes hands; afterwards every request carries the session.
  void hello(const Json& capabilities = Json::object(),
             const std::string& revision = "2025-11-25") {
    const HttpAnswer answer = post({{"jsonrpc", "2.0"},
                                    {"id", 0},
                                    {"method", "initialize"},
                                    {"params",
                                     {{"protocolVersion", revision},
                                      {"capabilities", capabilities},
                                      {"clientInfo", {{"name", "t"}, {"version", "1"}}}}}});
    REQUIRE(answer.status == 200);
    const auto session = answer.headers.find("Mcp-Session-Id");
    REQUIRE(session != answer.headers.end());
    standing = {{"Mcp-Session-Id", session->second}, {"MCP-Protocol-Version", revision}};
    CHECK(post({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}).status == 202);
  }
  std::string session() const { return standing.find("Mcp-Session-Id")->second; }

  httplib::Headers standing = {};

 private:
  HttpAnswer read(const httplib::Result& result) {
    REQUIRE(result);
    log_->bytes("server", result->body);
    HttpAnswer answer{result->status, Json::parse(result->body, nullptr, false), result->headers};
    if (answer.body.is_discarded()) answer.body = result->body;
    return answer;
  }
  httplib::Client client_;
  const std::shared_ptr<WireLog> log_;
};

inline Json call_of(const Json& id, const std::string& tool, Json arguments = Json::object()) {
  return {{"jsonrpc", "2.0"},
          {"id", id},
          {"method", "tools/call"},
          {"params", {{"name", tool}, {"arguments", std::move(arguments)}}}};
}

// A TCP connection whose every byte is ours.
class RawTalk {
 public:
  explicit RawTalk(const HttpSample& server) : log_(server.log) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(server.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int error =
        ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    require(error == 0, "the test's server does not accept");
  }
  ~RawTalk() { close(); }
  RawTalk(const RawTalk&) = delete;
  RawTalk& operator=(const RawTalk&) = delete;

  bool say(std::string_view bytes) {
    said_ += bytes;
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ < 0) return;
    log_->bytes("client", said_);
    log_->bytes("server", heard_);
    ::close(socket_);
    socket_ = -1;
  }
  // What comes until `words` are in it, the server closes, or 20 s pass.
  std::string hear(std::string_view words) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (heard_.find(words) == std::string::npos && more(until)) {
    }
    return heard_;
  }
  // True: the server closed the connection within 20 s.
  bool hear_end() {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (more(until)) {
    }
    return ended_;
  }

 private:
  static constexpr Milliseconds kPatience = Seconds(20);

  bool more(std::chrono::steady_clock::time_point until) {
    pollfd entry{socket_, POLLIN, 0};
    const auto left = std::chrono::ceil<Milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ::poll(&entry, 1, static_cast<int>(left.count())) <= 0) return false;
    char bytes[4096];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    ended_ = got <= 0;
    if (got > 0) heard_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }
  int socket_ = -1;
  bool ended_ = false;
  std::string heard_ = {};
  std::string said_ = {};
  const std::shared_ptr<WireLog> log_;
};

// The text of a POST with this body; `headers` are further lines, each ended by \r\n.
inline std::string raw_post(const std::string& body, const std::string& headers = "") {
  return "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
         "Content-Length: " +
         std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

// A request of the stateless era with the headers that it needs.
struct StatelessPost {
  Json body = Json::object();
  httplib::Headers headers = {};
};
inline StatelessPost stateless_post(const Json& id, const std::string& method,
                                    Json params = Json::object(),
                                    const Json& capabilities = Json::object()) {
  params["_meta"].update(
      Json{{kMetaVersion, kStatelessRevision}, {kMetaCapabilities, capabilities}});
  StatelessPost post;
  post.headers = {{"MCP-Protocol-Version", std::string(kStatelessRevision)},
                  {"Mcp-Method", method}};
  for (const char* key : {"name", "uri", "taskId"}) {
    if (params.contains(key) && params[key].is_string())
      post.headers.emplace("Mcp-Name", params[key].get<std::string>());
  }
  post.body = {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}};
  return post;
}
inline std::string raw_stateless(const StatelessPost& post) {
  std::string headers;
  for (const auto& [name, value] : post.headers) headers += name + ": " + value + "\r\n";
  return raw_post(post.body.dump(), headers);
}

}  // namespace rgt::mcp
