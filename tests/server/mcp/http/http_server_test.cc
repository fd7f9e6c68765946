// SPDX-License-Identifier: MIT
// The server against clients that are slow, silent, half gone, many, or hostile.
#include "server/mcp/http/http_server.h"

#include <filesystem>

#include <catch2/catch.hpp>

#include "tests/server/mcp/http/http_talk.h"

namespace rgt::mcp {
namespace {

std::string status_line(const HttpSample& server, const std::string& bytes) {
  RawTalk talk(server);
  talk.say(bytes);
  const std::string heard = talk.hear("\r\n");
  return heard.substr(0, heard.find("\r\n"));
}
bool has_status(const HttpSample& server, const std::string& bytes, int status) {
  const std::string line = status_line(server, bytes);
  INFO(line);
  CHECK(line.starts_with("HTTP/1.1 " + std::to_string(status)));
  return line.starts_with("HTTP/1.1 " + std::to_string(status));
}

const std::string kList = raw_stateless(stateless_post(1, "tools/list"));

std::size_t threads_of_this_process() {
  const auto tasks = std::filesystem::directory_iterator("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace

TEST_CASE("The health check answers; other paths and methods say what there is") {
  const HttpSample server;
  has_status(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
  has_status(server, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404);
  has_status(server, "PUT /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405);
  has_status(server, "OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 405);
}

TEST_CASE("A rebound name and a foreign page are refused, each by itself") {
  const HttpSample server;
  const std::string port = std::to_string(server.port());
  has_status(server, raw_post("{}", "Origin: http://evil.example\r\n"), 403);
  has_status(server, raw_post("{}", "Origin: http://localhost:1\r\n"), 403);
  std::string rebound = kList;
  rebound.replace(rebound.find("127.0.0.1"), 9, "evil.example");
  has_status(server, rebound, 403);
  has_status(server, "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403);
  has_status(server, "POST /mcp HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 403);  // no Host at all
  std::string own = kList;
  own.insert(own.find("Content-Type"), "Origin: http://localhost:" + port + "\r\n");
  has_status(server, own, 200);
}

TEST_CASE("With a token nothing is told without it") {
  HttpOptions options;
  options.guard.token = "0123456789abcdef";
  const HttpSample server(options);
  has_status(server, kList, 401);
  has_status(server, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 401);
  std::string known = kList;
  known.insert(known.find("Content-Type"), "Authorization: Bearer 0123456789abcdef\r\n");
  has_status(server, known, 200);
}

TEST_CASE("Bodies that are none are refused with the reason") {
  const HttpSample server;
  has_status(server, raw_post("not json"), 400);
  has_status(server, raw_post("[]"), 400);
  has_status(server, raw_post("\"\xff\""), 400);
  has_status(server, raw_post(std::string(100000, '[')), 400);
  has_status(server,
             "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
             "Content-Length: 2\r\n\r\n{}",
             415);
  has_status(server, raw_post("{}", "Content-Encoding: gzip\r\n"), 415);
  has_status(server,
             "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
             "boundary=x\r\nContent-Length: 2\r\n\r\n{}",
             415);
  has_status(server,
             "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n",
             411);
  has_status(server, raw_post("{}", "Content-Length: 3\r\n"), 411);
  has_status(server, raw_post("{}", "Transfer-Encoding: chunked\r\n"), 411);
  has_status(server,
             "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: 99999999999\r\n\r\n{}",
             413);
}

TEST_CASE("A body in chunks is read; one over the limit is not") {
  const HttpSample server;
  const auto list = stateless_post(1, "tools/list");
  const std::string body = list.body.dump();
  std::string head =
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n";
  for (const auto& [name, value] : list.headers) head += name + ": " + value + "\r\n";
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", body.size());
  has_status(server, head + "\r\n" + size + body + "\r\n0\r\n\r\n", 200);

  RawTalk flood(server);
  flood.say(head + "\r\n");
  const std::string chunk = "10000\r\n" + std::string(65536, ' ') + "\r\n";
  for (int i = 0; i < 100 && flood.say(chunk); ++i) {
  }
  CHECK(flood.hear_end());
}

TEST_CASE("Requests follow one another on a connection, also when sent at once") {
  const HttpSample server;
  RawTalk talk(server);
  talk.say(raw_stateless(stateless_post("first", "tools/list")) +
           raw_stateless(stateless_post("second", "tools/list")));
  const std::string all = talk.hear("\"second\"");
  CHECK(all.find("\"first\"") < all.find("\"second\""));
}

TEST_CASE("Bytes behind a refused request are never taken for the next one") {
  const HttpSample server;
  RawTalk talk(server);
  talk.say(
      "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n"
      "Content-Length: " +
      std::to_string(kList.size()) + "\r\n\r\n" + kList);
  CHECK(talk.hear_end());
  CHECK(talk.hear("x").find("tools") == std::string::npos);
}

TEST_CASE("A client that sends its request byte by byte is sent away in time") {
  HttpOptions options;
  options.connection.request = Milliseconds(300);
  options.connection.idle = Milliseconds(300);
  const HttpSample server(options);
  RawTalk silent(server);
  CHECK(silent.hear_end());
  RawTalk slow(server);
  slow.say("POST /mcp HTTP/1.1\r\nHost: local");
  CHECK(slow.hear_end());
  RawTalk slow_body(server);
  slow_body.say(raw_post(std::string(1000, ' ')).substr(0, 400));
  CHECK(slow_body.hear_end());
}

TEST_CASE("Slow clients on every thread make room for one that is not slow") {
  HttpOptions options;
  options.connections = 8;
  const HttpSample server(options);
  std::vector<std::unique_ptr<RawTalk>> slow;
  for (int i = 0; i < 40; ++i) {
    slow.push_back(std::make_unique<RawTalk>(server));
    slow.back()->say("POST /mcp HTTP/1.1\r\nX-Slow: ");
  }
  CHECK(status_line(server, kList).starts_with("HTTP/1.1 200"));
}

TEST_CASE("A client that closes its side half way is none") {
  HttpSample server;
  RawTalk half(server);
  half.say(raw_stateless(stateless_post(1, "tools/call", {{"name", "wait"}})));
  half.half_close();
  server.sample.service.calls().wait_idle();
  CHECK(status_line(server, kList).starts_with("HTTP/1.1 200"));
}

TEST_CASE("A client that does not read what it asked for holds nothing for ever") {
  HttpOptions options;
  options.connection.stalled_write = Milliseconds(300);
  HttpSample server(options);
  RawTalk deaf(server);
  bool sent = true;
  // Answers fill the socket's buffers in both directions until the server gives up.
  for (int i = 0; i < 20000 && sent; ++i) sent = deaf.say(kList);
  CHECK_FALSE(sent);
}

TEST_CASE("Closing: quick calls are answered, long ones stopped, everybody is let go") {
  HttpSample server;
  RawTalk idle(server);
  idle.say(kList);
  idle.hear("\"id\":1");
  RawTalk waiting(server);
  waiting.say(raw_stateless(stateless_post(2, "tools/call", {{"name", "wait"}})));
  waiting.hear(": open");
  server.end();
  CHECK(waiting.hear("\"id\":2").find("stopped") != std::string::npos);
  CHECK(waiting.hear_end());
  CHECK(idle.hear_end());
}

TEST_CASE("A taken port is said to be taken") {
  const HttpSample server;
  SampleServer other;
  HttpOptions options;
  options.guard.port = server.port();
  const auto refused = HttpServer::bind(other.service, options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("cannot bind") != std::string::npos);
}

TEST_CASE("Storms of calls, cancellations and hang-ups leave no thread and no call behind") {
  const std::size_t before = threads_of_this_process();
  {
    ServiceOptions service;
    service.calls_at_once = 256;
    HttpSample server({}, service);
    std::vector<std::jthread> clients;
    for (int c = 0; c < 16; ++c) {
      clients.emplace_back([&server, c] {
        for (int i = 0; i < 20; ++i) {
          RawTalk talk(server);
          const bool waits = (c + i) % 2 == 0;
          talk.say(
              raw_stateless(stateless_post(i, "tools/call", {{"name", waits ? "wait" : "echo"}})));
          if ((c + i) % 3 == 0) talk.hear(waits ? ": open" : "\"id\"");
        }
      });
    }
    clients.clear();
    server.sample.service.calls().wait_idle();
    CHECK(status_line(server, kList).starts_with("HTTP/1.1 200"));
  }
  CHECK(threads_of_this_process() <= before);
}

}  // namespace rgt::mcp
