// SPDX-License-Identifier: MIT
// Streamable HTTP in the revisions with a handshake: sessions, streams, coming back.
#include <catch2/catch.hpp>

#include "tests/server/mcp/http/http_talk.h"

namespace rgt::mcp {
namespace {

Json ping(const Json& id) { return {{"jsonrpc", "2.0"}, {"id", id}, {"method", "ping"}}; }
Json note(const std::string& method, Json params = Json::object()) {
  return {{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}};
}

// The text of a request with a session, for RawTalk.
std::string raw_in(const HttpTalk& talk, const Json& message) {
  return raw_post(message.dump(),
                  "Mcp-Session-Id: " + talk.session() + "\r\nMCP-Protocol-Version: 2025-11-25\r\n");
}
std::string raw_get(const HttpTalk& talk, const std::string& last_event = "") {
  return "GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nMcp-Session-Id: " +
         talk.session() + "\r\n" +
         (last_event.empty() ? "" : "Last-Event-ID: " + last_event + "\r\n") + "\r\n";
}
std::string first_id_in(const std::string& events) {
  const std::size_t begin = events.find("id: ");
  REQUIRE(begin != std::string::npos);
  return events.substr(begin + 4, events.find('\n', begin) - begin - 4);
}

}  // namespace

TEST_CASE("A session begins with initialize, is needed after it, and ends with DELETE") {
  const HttpSample server;
  HttpTalk talk(server);
  CHECK(talk.post(ping(1)).status == 400);
  talk.hello();
  CHECK(talk.session().size() >= 32);
  CHECK(talk.post(ping(2)).body["result"] == Json::object());
  CHECK(
      talk.post(call_of(3, "echo", {{"text", "hi"}})).body["result"]["structuredContent"]["said"] ==
      "hi");
  HttpTalk stranger(server);
  stranger.standing = {{"Mcp-Session-Id", "0123"}};
  CHECK(stranger.post(ping(1)).status == 404);
  CHECK(talk.remove().status == 204);
  CHECK(talk.post(ping(4)).status == 404);
  CHECK(talk.get().status == 404);
}

TEST_CASE("Each session has its own calls: an id may be used in both, and cancels only its own") {
  const HttpSample server;
  HttpTalk first(server);
  HttpTalk second(server);
  first.hello();
  second.hello();
  RawTalk waiting_first(server);
  RawTalk waiting_second(server);
  waiting_first.say(raw_in(first, call_of(1, "wait")));
  waiting_second.say(raw_in(second, call_of(1, "wait")));
  waiting_first.hear("data:");
  waiting_second.hear("data:");
  CHECK(first.post(call_of(1, "echo")).status == 400);  // still in use
  CHECK(first.post(note("notifications/cancelled", {{"requestId", 1}})).status == 202);
  const std::string ended = waiting_first.hear("\r\n0\r\n");
  CHECK(ended.find("\"id\":1") == std::string::npos);  // a cancelled request is not answered
  CHECK(first.post(call_of(2, "echo")).status == 200);
  CHECK(second.remove().status == 204);
  waiting_second.hear("\r\n0\r\n");
}

TEST_CASE("The version header must be one of ours") {
  const HttpSample server;
  HttpTalk talk(server);
  talk.hello();
  const std::string session = talk.session();
  talk.standing = {{"Mcp-Session-Id", session}, {"MCP-Protocol-Version", "1999-01-01"}};
  const HttpAnswer refused = talk.post(ping(1));
  CHECK(refused.status == 400);
  CHECK(refused.body["error"]["message"].get<std::string>().find("2025-11-25") !=
        std::string::npos);
  talk.standing = {{"Mcp-Session-Id", session}};
  CHECK(talk.post(ping(2)).status == 200);
}

TEST_CASE("A question goes out on the stream of its call, and its answer comes as a POST") {
  const HttpSample server;
  HttpTalk talk(server);
  talk.hello({{"elicitation", Json::object()}});
  RawTalk asking(server);
  asking.say(raw_in(talk, call_of(1, "ask")));
  const std::string asked = asking.hear("elicitation/create");
  const std::size_t id = asked.find("\"rgt-");
  REQUIRE(id != std::string::npos);
  const std::string question = asked.substr(id + 1, asked.find('"', id + 1) - id - 1);
  CHECK(talk.post({{"jsonrpc", "2.0"},
                   {"id", question},
                   {"result", {{"action", "accept"}, {"content", {{"word", "yes"}}}}}})
            .status == 202);
  CHECK(asking.hear("\"typed\":\"yes\"").find("\"typed\":\"yes\"") != std::string::npos);
}

TEST_CASE("A client that lost its connection comes back and gets what it missed") {
  const HttpSample server;
  HttpTalk talk(server);
  talk.hello({{"elicitation", Json::object()}});
  std::string last;
  {
    RawTalk lost(server);
    lost.say(raw_in(talk, call_of(1, "ask")));
    last = first_id_in(lost.hear("data: \n\n"));  // the event that has an id and no message
    lost.hear("elicitation/create");
  }
  RawTalk back(server);
  back.say(raw_get(talk, last));
  const std::string asked = back.hear("elicitation/create");
  CHECK(asked.find("elicitation/create") != std::string::npos);
  const std::size_t id = asked.find("\"rgt-");
  const std::string question = asked.substr(id + 1, asked.find('"', id + 1) - id - 1);
  talk.post({{"jsonrpc", "2.0"}, {"id", question}, {"result", {{"action", "decline"}}}});
  CHECK(back.hear("\"id\":1").find("\"id\":1") != std::string::npos);
  CHECK(talk.get({{"Last-Event-ID", "999-1"}}).status == 400);
  CHECK(talk.get({{"Last-Event-ID", "nonsense"}}).status == 400);
}

TEST_CASE("News comes on the GET stream; a newer one takes over from an older") {
  const HttpSample server;
  HttpTalk talk(server);
  talk.hello();
  CHECK(talk.post({{"jsonrpc", "2.0"},
                   {"id", 1},
                   {"method", "resources/subscribe"},
                   {"params", {{"uri", "test://a"}}}})
            .status == 200);
  RawTalk older(server);
  older.say(raw_get(talk));
  older.hear("data: \n\n");
  RawTalk newer(server);
  newer.say(raw_get(talk));
  newer.hear("data: \n\n");
  older.hear("\r\n0\r\n");
  Changes& changes = const_cast<HttpSample&>(server).sample.changes;
  changes.tell({Change::Kind::resource, "test://a"});
  CHECK(newer.hear("resources/updated").find("test://a") != std::string::npos);
}

TEST_CASE("An older client gets no event without a message") {
  const HttpSample server;
  HttpTalk talk(server);
  talk.hello(Json::object(), "2025-06-18");
  RawTalk stream(server);
  stream.say(raw_get(talk));
  CHECK(stream.hear(": open").find("data: \n\n") == std::string::npos);
}

TEST_CASE("Sessions that stay silent are forgotten; those that are worked for are not") {
  HttpOptions options;
  options.endpoint.session_idle = Seconds(0);
  const HttpSample server(options);
  HttpTalk talk(server);
  // Forgotten before the next request can use it.
  const HttpAnswer hello = talk.post({{"jsonrpc", "2.0"},
                                      {"id", 0},
                                      {"method", "initialize"},
                                      {"params",
                                       {{"protocolVersion", "2025-11-25"},
                                        {"capabilities", Json::object()},
                                        {"clientInfo", {{"name", "t"}, {"version", "1"}}}}}});
  talk.standing = {{"Mcp-Session-Id", hello.headers.find("Mcp-Session-Id")->second}};
  CHECK(talk.post(ping(1)).status == 404);
}

TEST_CASE("More sessions than allowed: the one silent for longest makes room") {
  HttpOptions options;
  options.endpoint.sessions = 2;
  const HttpSample server(options);
  HttpTalk first(server);
  HttpTalk second(server);
  HttpTalk third(server);
  first.hello();
  second.hello();
  first.post(ping(1));
  third.hello();
  CHECK(first.post(ping(2)).status == 200);
  CHECK(second.post(ping(2)).status == 404);
  CHECK(third.post(ping(2)).status == 200);
}

}  // namespace rgt::mcp
