// SPDX-License-Identifier: MIT
// Whole conversations over one pair of pipes, with a transport in memory.
#include "server/mcp/stdio_server.h"

#include <thread>

#include <catch2/catch.hpp>

#include "tests/server/mcp/memory_transport.h"

namespace rgt::mcp {

TEST_CASE("The handshake answers the revision that was offered, or the newest we speak") {
  const auto answered = [](const std::string& offered) {
    Conversation talk;
    return talk.request(
        1, "initialize",
        {{"protocolVersion", offered},
         {"capabilities", Json::object()},
         {"clientInfo", {{"name", "t"}, {"version", "1"}}}})["result"]["protocolVersion"];
  };
  for (const char* revision : {"2025-11-25", "2025-06-18", "2024-11-05"})
    CHECK(answered(revision) == revision);
  CHECK(answered("2099-01-01") == "2025-11-25");
}

TEST_CASE("Before initialize only ping is served; unknown methods are refused at once") {
  Conversation talk;
  CHECK(talk.request(1, "tools/list")["error"]["code"] == kInvalidRequest);
  CHECK(talk.request(2, "server/discover")["error"]["code"] == kMethodNotFound);
  CHECK(talk.request(3, "ping")["result"] == Json::object());
  talk.hello();
  CHECK(talk.request(4, "tools/list")["result"]["tools"].size() == 5);
  CHECK(talk.request(5, "tools/list", {{"cursor", "x"}})["error"]["code"] == kInvalidParams);
  CHECK(talk.request(6, "initialize", {{"protocolVersion", "2025-11-25"}})["error"]["code"] ==
        kInvalidRequest);
}

TEST_CASE(
    "A tool's answer carries text and structure; wrong arguments are an answer that a model can "
    "read") {
  Conversation talk;
  talk.hello();
  talk.call(1, "echo", {{"text", "hi"}});
  const Json good = talk.transport.answer_to(1)["result"];
  CHECK(good["structuredContent"]["said"] == "hi");
  CHECK(good["content"][0]["text"] == "said");
  talk.call(2, "echo", {{"txt", "hi"}});
  const Json bad = talk.transport.answer_to(2)["result"];
  CHECK(bad["isError"] == true);
  CHECK(bad["content"][0]["text"].get<std::string>().find("did you mean text?") !=
        std::string::npos);
  talk.call(3, "ecko");
  CHECK(talk.transport.answer_to(3)["error"]["message"].get<std::string>().find(
            "did you mean echo?") != std::string::npos);
  talk.call(4, "throw");
  const std::string thrown = talk.transport.answer_to(4)["result"].dump();
  CHECK(thrown.find("internal error") != std::string::npos);
  CHECK(thrown.find("secret detail") == std::string::npos);
}

TEST_CASE(
    "A long call does not keep the rest waiting, and a cancelled one stops and is not answered") {
  Conversation talk;
  talk.hello();
  talk.call("long", "wait");
  CHECK(talk.request(1, "ping")["result"] == Json::object());
  talk.call("long", "echo");
  CHECK(talk.transport.answer_to("long")["error"]["code"] == kInvalidRequest);  // the id is in use
  talk.transport.say({{"jsonrpc", "2.0"},
                      {"method", "notifications/cancelled"},
                      {"params", {{"requestId", "long"}}}});
  talk.transport.say({{"jsonrpc", "2.0"},
                      {"method", "notifications/cancelled"},
                      {"params", {{"requestId", 12345}}}});
  talk.call("after", "echo");
  talk.transport.answer_to("after");
  CHECK(talk.transport.unread() == 0);
}

TEST_CASE("A call over its time is stopped and answered") {
  ServiceOptions options;
  options.call_limit = Seconds(1);
  Conversation talk(options);
  talk.hello();
  talk.call(1, "wait");
  CHECK(talk.transport.answer_to(1)["result"]["content"][0]["text"] == "stopped");
}

TEST_CASE("Fifty calls at once are each answered once with their own answer") {
  Conversation talk;
  talk.hello();
  for (int i = 0; i < 50; ++i) talk.call(i, "echo", {{"text", std::to_string(i)}});
  for (int i = 0; i < 50; ++i)
    CHECK(talk.transport.answer_to(i)["result"]["structuredContent"]["said"] == std::to_string(i));
  CHECK(talk.transport.unread() == 0);
}

TEST_CASE("More calls than a client can mean are refused, not queued for ever") {
  Conversation talk;
  talk.hello();
  for (std::size_t i = 0; i < ServiceOptions{}.calls_at_once; ++i) talk.call(i, "wait");
  talk.call("one-more", "echo");
  CHECK(talk.transport.answer_to("one-more")["error"]["message"].get<std::string>().find(
            "at once") != std::string::npos);
}

TEST_CASE("Progress only grows and stops with the answer") {
  Conversation talk;
  talk.hello();
  talk.call(1, "count", Json::object(), {{"progressToken", "p"}});
  std::int64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    const Json note = talk.transport.wait_for([](const Json& message) {
      return message.value("method", "") == "notifications/progress";
    });
    CHECK(note["params"]["progressToken"] == "p");
    CHECK(note["params"]["progress"].get<std::int64_t>() > last);
    last = note["params"]["progress"].get<std::int64_t>();
  }
  talk.transport.answer_to(1);
}

TEST_CASE(
    "A question reaches the person only through a client that can show forms, and only words typed "
    "count") {
  const auto ask = [](const Json& capabilities, const Json& form_result) {
    Conversation talk;
    talk.hello(capabilities);
    talk.call(1, "ask");
    if (!form_result.is_null()) {
      const Json form = talk.transport.wait_for(
          [](const Json& message) { return message.value("method", "") == "elicitation/create"; });
      CHECK_FALSE(form["params"]["requestedSchema"]["properties"]["word"].contains("default"));
      talk.transport.say_wrong({{"jsonrpc", "2.0"}, {"id", form["id"]}, {"result", form_result}});
    }
    const Json answer = talk.transport.answer_to(1)["result"]["structuredContent"];
    return std::pair(static_cast<Answer::Kind>(answer["kind"].get<int>()),
                     answer["typed"].get<std::string>());
  };
  using Kind = Answer::Kind;
  const Json forms{{"elicitation", Json::object()}};
  CHECK(ask(Json::object(), nullptr).first == Kind::unavailable);
  CHECK(ask({{"elicitation", {{"url", Json::object()}}}}, nullptr).first == Kind::unavailable);
  CHECK(ask(forms, {{"action", "accept"}, {"content", {{"word", "yes"}}}}) ==
        std::pair(Kind::given, std::string("yes")));
  CHECK(ask(forms, {{"action", "accept"}, {"content", Json::object()}}).first == Kind::cancelled);
  CHECK(ask(forms, {{"action", "accept"}}).first == Kind::cancelled);
  CHECK(ask(forms, {{"action", "accept"}, {"content", {{"word", true}}}}).first == Kind::cancelled);
  CHECK(ask(forms, {{"action", "decline"}}).first == Kind::declined);
  CHECK(ask(forms, {{"action", "cancel"}}).first == Kind::cancelled);
  CHECK(ask(forms, {{"nonsense", 1}}).first == Kind::cancelled);
}

TEST_CASE("Resources and completion answer within the protocol's bounds") {
  Conversation talk;
  talk.hello();
  CHECK(talk.request(1, "resources/read", {{"uri", "test://a"}})["result"]["contents"][0]["text"] ==
        "text of a");
  const Json missing = talk.request(2, "resources/read", {{"uri", "test://none"}});
  CHECK(missing["error"]["code"] == kResourceNotFound);
  CHECK(missing["error"]["data"]["uri"] == "test://none");
  const Json done = talk.request(3, "completion/complete",
                                 {{"ref", {{"type", "ref/prompt"}, {"name", "p"}}},
                                  {"argument", {{"name", "n"}, {"value", "x"}}}});
  CHECK(done["result"]["completion"]["values"].size() <= 100);
}

TEST_CASE("A message that was too long is refused and the session lives on") {
  Conversation talk;
  talk.hello();
  talk.transport.put({Incoming::Kind::too_long, {}});
  CHECK(talk.transport.wait_for([](const Json& message) {
    return message.contains("error");
  })["error"]["code"] == kInvalidRequest);
  CHECK(talk.request(1, "ping")["result"] == Json::object());
}

TEST_CASE("When the client closes, quick calls are still answered and long ones are stopped") {
  Conversation talk;
  talk.hello();
  talk.call("long", "wait");
  talk.call("quick", "echo");
  talk.transport.close();
  talk.transport.answer_to("quick");
  talk.server.join();  // ends although a call was waiting
  talk.server = {};
}

TEST_CASE("A list is given in pages, each entry once; a cursor that is none is refused") {
  ServiceOptions options;
  options.page_size = 2;
  Conversation talk(options);
  talk.hello();
  std::vector<std::string> uris;
  Json params = Json::object();
  for (int page = 0; page < 5; ++page) {
    const Json result = talk.request(page, "resources/list", params)["result"];
    CHECK(result["resources"].size() <= 2);
    for (const Json& resource : result["resources"]) uris.push_back(resource["uri"]);
    if (!result.contains("nextCursor")) break;
    params["cursor"] = result["nextCursor"];
  }
  CHECK(uris == std::vector<std::string>{"test://a", "test://b", "test://c"});
  for (const Json& wrong : {Json("x"), Json("bm90aGluZw=="), Json(1), Json(nullptr)})
    CHECK(talk.request(wrong.dump(), "resources/list", {{"cursor", wrong}})["error"]["code"] ==
          kInvalidParams);
}

TEST_CASE("Bytes that are no text are read as base64") {
  Conversation talk;
  talk.hello();
  const Json read = talk.request(1, "resources/read", {{"uri", "test://b"}})["result"]["contents"];
  CHECK(read[0]["blob"] == "AP8=");
}

TEST_CASE("A prompt names the argument that is missing") {
  Conversation talk;
  talk.hello();
  const Json refused = talk.request(1, "prompts/get", {{"name", "greet"}})["error"];
  CHECK(refused["code"] == kInvalidParams);
  CHECK(refused["message"].get<std::string>().find("argument name") != std::string::npos);
  const Json text = talk.request(2, "prompts/get",
                                 {{"name", "greet"}, {"arguments", {{"name", "Ada"}}}})["result"];
  CHECK(text["messages"][0]["content"]["text"] == "Greet Ada");
  CHECK(talk.request(3, "prompts/get", {{"name", "none"}})["error"]["code"] == kInvalidParams);
}

TEST_CASE("A client hears of what it follows, and no more once it stops") {
  Conversation talk;
  talk.hello();
  Changes& changes = talk.sample.changes;
  CHECK(talk.request(1, "resources/subscribe", {{"uri", "test://a"}})["result"] == Json::object());
  changes.tell({Change::Kind::resource, "test://b"});
  changes.tell({Change::Kind::resource, "test://a"});
  const auto note = [&](const std::string& method) {
    return talk.transport.wait_for(
        [&](const Json& message) { return message.value("method", "") == method; });
  };
  CHECK(note("notifications/resources/updated")["params"]["uri"] == "test://a");
  talk.request(2, "resources/unsubscribe", {{"uri", "test://a"}});
  changes.tell({Change::Kind::resource, "test://a"});
  changes.tell({Change::Kind::tools, ""});
  note("notifications/tools/list_changed");
  CHECK(talk.transport.unread() == 0);
}

TEST_CASE("The level of log messages is the client's to set") {
  Conversation talk;
  talk.hello();
  CHECK(talk.request(1, "logging/setLevel", {{"level", "loud"}})["error"]["code"] ==
        kInvalidParams);
  talk.call(2, "count");
  talk.transport.answer_to(2);
  CHECK(talk.transport.unread() == 0);
  CHECK(talk.request(3, "logging/setLevel", {{"level", "info"}})["result"] == Json::object());
  talk.call(4, "count");
  CHECK(talk.transport.wait_for([](const Json& message) {
    return message.value("method", "") == "notifications/message";
  })["params"]["logger"] == "count");
}

TEST_CASE("A question that its client no longer waits for is taken back") {
  Conversation talk;
  talk.hello({{"elicitation", Json::object()}});
  talk.call(1, "ask");
  const Json form = talk.transport.wait_for(
      [](const Json& message) { return message.value("method", "") == "elicitation/create"; });
  talk.sample.service.calls().stop_all();
  const Json taken_back = talk.transport.wait_for(
      [](const Json& message) { return message.value("method", "") == "notifications/cancelled"; });
  CHECK(taken_back["params"]["requestId"] == form["id"]);
  talk.transport.answer_to(1);
  // Its answer comes too late and disturbs nothing.
  talk.transport.say({{"jsonrpc", "2.0"}, {"id", form["id"]}, {"result", {{"action", "accept"}}}});
  CHECK(talk.request(2, "ping")["result"] == Json::object());
}

}  // namespace rgt::mcp
