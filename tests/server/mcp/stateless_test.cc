// SPDX-License-Identifier: MIT
// Revision 2026-07-28 over one pair of pipes: every request says for itself who asks.
#include <catch2/catch.hpp>

#include "tests/server/mcp/memory_transport.h"

namespace rgt::mcp {
namespace {

const Json kForms{{"elicitation", {{"form", Json::object()}}}};
const Json kTasks{{"elicitation", Json::object()},
                  {"extensions", {{kTasksExtension, Json::object()}}}};

struct Stateless : Conversation {
  using Conversation::Conversation;
  Json ask(const Json& id, const std::string& method, Json params = Json::object(),
           const Json& capabilities = Json::object()) {
    params["_meta"].update(stateless_meta(capabilities));
    return request(id, method, params);
  }
  Json use(const Json& id, const std::string& tool, Json more = Json::object(),
           const Json& capabilities = Json::object()) {
    more["name"] = tool;
    return ask(id, "tools/call", more, capabilities);
  }
  Json note(const std::string& method) {
    return transport.wait_for(
        [&](const Json& message) { return message.value("method", "") == method; });
  }
  void cancel(const Json& id) {
    transport.say({{"jsonrpc", "2.0"},
                   {"method", "notifications/cancelled"},
                   {"params", {{"requestId", id}}}});
  }
};

Json typed(const std::string& word) {
  return {{"key", {{"action", "accept"}, {"content", {{"word", word}}}}}};
}

}  // namespace

TEST_CASE("discover says what there is; every result names its type and the server") {
  Stateless talk;
  const Json found = talk.ask(1, "server/discover")["result"];
  CHECK(found["supportedVersions"] == Json{"2026-07-28"});
  CHECK(found["capabilities"]["extensions"].contains(kTasksExtension));
  CHECK(found["ttlMs"].get<int>() > 0);
  for (const char* method : {"tools/list", "prompts/list", "resources/templates/list"}) {
    const Json list = talk.ask(method, method)["result"];
    CHECK(list["resultType"] == "complete");
    CHECK(list["cacheScope"] == "public");
    CHECK(list["_meta"][kMetaServer]["name"] == "test");
  }
  CHECK(talk.ask(2, "resources/list")["result"]["cacheScope"] == "private");
  CHECK_FALSE(talk.use(3, "echo")["result"].contains("ttlMs"));
}

TEST_CASE("Skills are declared, listed with their digests, and got one by one, in either era") {
  Stateless talk;
  CHECK(talk.ask(1, "server/discover")["result"]["capabilities"]["extensions"].contains(
      kSkillsExtension));
  const Json list = talk.ask(2, "skills/list")["result"];
  CHECK(list["resultType"] == "complete");
  CHECK(list["ttlMs"].get<int>() > 0);
  const Json skill = list["skills"][0];
  CHECK(skill["frontmatter"]["name"] == "hello");
  CHECK(skill["resources"][0]["digest"] == "sha256:" + std::string(64, 'a'));
  CHECK(skill["resources"][0]["size"] == 12);
  CHECK(talk.ask(3, "skills/get", {{"uri", "skill://hello/SKILL.md"}})["result"]["skill"] == skill);
  for (const Json& params : {Json{{"uri", "skill://none/SKILL.md"}}, Json::object()})
    CHECK(talk.ask(params.dump(), "skills/get", params)["error"]["code"] == kInvalidParams);
  talk.hello();
  CHECK(talk.request(4, "skills/list")["result"]["skills"][0] == skill);
}

TEST_CASE("A request that does not say who asks is told what is missing") {
  Stateless talk;
  const auto code = [&](const Json& meta) {
    return talk.request(meta.dump(), "tools/list", {{"_meta", meta}})["error"]["code"].get<int>();
  };
  Json meta = stateless_meta();
  meta.erase(kMetaCapabilities);
  CHECK(code(meta) == kInvalidParams);
  meta = stateless_meta();
  meta[kMetaLogLevel] = "loud";
  CHECK(code(meta) == kInvalidParams);
  meta = stateless_meta();
  meta[kMetaVersion] = 7;
  CHECK(code(meta) == kInvalidParams);
  meta = stateless_meta();
  meta[kMetaVersion] = "2025-11-25";  // has a handshake; not served this way
  CHECK(code(meta) == kUnsupportedVersion);
  meta = stateless_meta();
  meta.erase(kMetaClient);  // may be left out
  CHECK(talk.request(9, "tools/list", {{"_meta", meta}}).contains("result"));
}

TEST_CASE("Methods of one era are not served in the other; both live on one pipe") {
  Stateless talk;
  for (const char* method :
       {"initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list"})
    CHECK(talk.ask(method, method)["error"]["code"] == kMethodNotFound);
  talk.hello();
  CHECK(talk.request(1, "server/discover")["error"]["code"] == kMethodNotFound);
  CHECK(talk.request(2, "tools/list")["result"].contains("tools"));
  CHECK_FALSE(talk.request(3, "tools/list")["result"].contains("resultType"));
  CHECK(talk.ask(4, "tools/list")["result"].contains("resultType"));
}

TEST_CASE("A question ends the call, and the next one brings the answer") {
  Stateless talk;
  const Json asked = talk.use(1, "ask", {}, kForms)["result"];
  REQUIRE(asked["resultType"] == "input_required");
  CHECK(asked["inputRequests"]["key"]["method"] == "elicitation/create");
  const Json state = asked["requestState"];

  Json answer{{"requestState", state}, {"inputResponses", typed("yes")}};
  CHECK(talk.use(2, "ask", answer, kForms)["result"]["structuredContent"]["typed"] == "yes");
  SECTION("a missing answer is asked for again") {
    answer["inputResponses"] = {{"other", {{"action", "cancel"}}}};
    CHECK(talk.use(3, "ask", answer, kForms)["result"]["resultType"] == "input_required");
  }
  SECTION("an answer of the wrong shape is refused") {
    for (const Json& wrong :
         {Json(7), Json(nullptr), Json{{"action", "perhaps"}},
          Json{{"action", "accept"}, {"content", {{"word", 5}}}}, Json{{"action", "accept"}}}) {
      answer["inputResponses"] = {{"key", wrong}};
      CHECK(talk.use(wrong.dump(), "ask", answer, kForms)["error"]["code"] == kInvalidParams);
    }
    answer["inputResponses"] = "text";
    CHECK(talk.use(3, "ask", answer, kForms)["error"]["code"] == kInvalidParams);
  }
  SECTION("a person who says no has said no") {
    answer["inputResponses"] = {{"key", {{"action", "decline"}}}};
    CHECK(talk.use(3, "ask", answer, kForms)["result"]["structuredContent"]["kind"] ==
          static_cast<int>(Answer::Kind::declined));
  }
  SECTION("a client without forms is not asked") {
    CHECK(talk.use(3, "ask")["result"]["structuredContent"]["kind"] ==
          static_cast<int>(Answer::Kind::unavailable));
  }
}

TEST_CASE("An answer to a question that was never shown does not count") {
  Stateless talk;
  CHECK(talk.use(1, "ask", {{"inputResponses", typed("yes")}}, kForms)["result"]["resultType"] ==
        "input_required");
}

TEST_CASE("A state that is not ours, changed, or of another request is refused") {
  Stateless talk;
  Stateless other;
  const std::string state =
      talk.use(1, "ask", {}, kForms)["result"]["requestState"].get<std::string>();
  const std::string foreign =
      other.use(1, "ask", {}, kForms)["result"]["requestState"].get<std::string>();
  std::string flipped = state;
  flipped[flipped.size() / 2] = flipped[flipped.size() / 2] == 'A' ? 'B' : 'A';
  int id = 10;
  for (const std::string& wrong : {foreign, flipped, state + "-TAMPERED", std::string("."),
                                   std::string(), std::string(2u << 20, 'A')}) {
    const Json answer{{"requestState", wrong}, {"inputResponses", typed("yes")}};
    CHECK(talk.use(++id, "ask", answer, kForms)["error"]["code"] == kInvalidParams);
  }
  Json elsewhere{{"requestState", state}, {"inputResponses", typed("yes")}};
  elsewhere["arguments"] = {{"text", "something else"}};
  CHECK(talk.use(2, "ask", elsewhere, kForms)["error"]["code"] == kInvalidParams);
}

TEST_CASE("listen: acknowledged first, tagged, only what was named, ended by its client") {
  Stateless talk;
  Json params{{"notifications",
               {{"toolsListChanged", true},
                {"promptsListChanged", false},
                {"resourceSubscriptions", {"test://a"}}}},
              {"_meta", stateless_meta()}};
  talk.transport.say(
      {{"jsonrpc", "2.0"}, {"id", "l"}, {"method", "subscriptions/listen"}, {"params", params}});
  const Json ack = talk.note("notifications/subscriptions/acknowledged");
  CHECK(ack["params"]["_meta"][kMetaSubscription] == "l");
  CHECK(ack["params"]["notifications"] ==
        Json{{"toolsListChanged", true}, {"resourceSubscriptions", {"test://a"}}});

  Changes& changes = talk.sample.changes;
  changes.tell({Change::Kind::prompts, ""});
  changes.tell({Change::Kind::resource, "test://b"});
  changes.tell({Change::Kind::resource, "test://a"});
  const Json updated = talk.note("notifications/resources/updated");
  CHECK(updated["params"]["uri"] == "test://a");
  CHECK(updated["params"]["_meta"][kMetaSubscription] == "l");
  changes.tell({Change::Kind::tools, ""});
  talk.note("notifications/tools/list_changed");
  talk.cancel("l");
  talk.ask("after", "tools/list");  // read behind the cancellation
  changes.tell({Change::Kind::tools, ""});
  talk.ask("later", "tools/list");
  CHECK(talk.transport.unread() == 0);
}

TEST_CASE("listen ends with a result when the server closes") {
  Stateless talk;
  talk.transport.say(
      {{"jsonrpc", "2.0"},
       {"id", 5},
       {"method", "subscriptions/listen"},
       {"params", {{"notifications", Json::object()}, {"_meta", stateless_meta()}}}});
  talk.note("notifications/subscriptions/acknowledged");
  talk.sample.service.calls().stop_all();
  CHECK(talk.note("notifications/cancelled")["params"]["requestId"] == 5);
  CHECK(talk.transport.answer_to(5)["result"]["_meta"][kMetaSubscription] == 5);
}

TEST_CASE("A filter of the wrong shape is refused, and so is one for tasks of a client without") {
  Stateless talk;
  for (const Json& wrong :
       {Json(1), Json{{"resourceSubscriptions", "x"}}, Json{{"resourceSubscriptions", {1}}}})
    CHECK(talk.ask(wrong.dump(), "subscriptions/listen",
                   {{"notifications", wrong}})["error"]["code"] == kInvalidParams);
  const Json refused =
      talk.ask(1, "subscriptions/listen", {{"notifications", {{"taskIds", {"x"}}}}});
  CHECK(refused["error"]["code"] == kMissingCapability);
}

TEST_CASE("A long call of a client that knows tasks becomes one, is asked, answered and read") {
  Stateless talk;
  const Json task = talk.use(1, "ask", {}, kTasks)["result"];
  REQUIRE(task["resultType"] == "task");
  const Json id{{"taskId", task["taskId"]}};
  const auto until = [&](const std::string& status) {
    for (int n = 0;; ++n) {
      Json seen = talk.ask("g" + std::to_string(n), "tasks/get", id, kTasks)["result"];
      if (seen["status"] == status) return seen;
      REQUIRE(n < 2000);
      std::this_thread::yield();
    }
  };
  CHECK(until("input_required")["inputRequests"].contains("key"));
  Json update = id;
  update["inputResponses"] = {{"key", {{"action", "accept"}}}};
  CHECK(talk.ask(2, "tasks/update", update, kTasks)["error"]["code"] == kInvalidParams);
  update["inputResponses"] = typed("yes");
  CHECK(talk.ask(3, "tasks/update", update, kTasks)["result"]["resultType"] == "complete");
  CHECK(until("completed")["result"]["structuredContent"]["typed"] == "yes");
  CHECK(talk.ask(4, "tasks/get", id)["error"]["code"] == kMissingCapability);
  CHECK(talk.ask(5, "tasks/get", {{"taskId", "none"}}, kTasks)["error"]["code"] == kInvalidParams);
}

TEST_CASE("A task is cancelled on request; listening to it tells so") {
  Stateless talk;
  const Json task = talk.use(1, "wait", {}, kTasks)["result"];
  const Json id{{"taskId", task["taskId"]}};
  talk.transport.say(
      {{"jsonrpc", "2.0"},
       {"id", "l"},
       {"method", "subscriptions/listen"},
       {"params",
        {{"notifications", {{"taskIds", {task["taskId"]}}}}, {"_meta", stateless_meta(kTasks)}}}});
  talk.note("notifications/subscriptions/acknowledged");
  CHECK(talk.ask(2, "tasks/cancel", id, kTasks).contains("result"));
  Json told;
  do told = talk.note("notifications/tasks")["params"];
  while (told["status"] == "working");
  CHECK(told["status"] == "cancelled");
  CHECK(told["_meta"][kMetaSubscription] == "l");
  CHECK(talk.ask(3, "tasks/cancel", id, kTasks).contains("result"));  // once more changes nothing
}

TEST_CASE("Log messages come only to a request that asked for their level") {
  Stateless talk;
  talk.use("quiet", "count");
  CHECK(talk.transport.unread() == 0);
  Json params{{"name", "count"}, {"_meta", stateless_meta()}};
  params["_meta"][kMetaLogLevel] = "info";
  talk.request("loud", "tools/call", params);
  CHECK(talk.note("notifications/message")["params"]["level"] == "info");
}

TEST_CASE("A missing resource is an error of the parameters") {
  Stateless talk;
  const Json missing = talk.ask(1, "resources/read", {{"uri", "test://none"}})["error"];
  CHECK(missing["code"] == kInvalidParams);
  CHECK(missing["data"]["uri"] == "test://none");
}

}  // namespace rgt::mcp
