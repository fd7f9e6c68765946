// SPDX-License-Identifier: MIT
// Streamable HTTP in revision 2026-07-28: every POST for itself.
#include <catch2/catch.hpp>

#include "tests/server/mcp/http/http_talk.h"

namespace rgt::mcp {
namespace {

struct Failure {
  int status = 0;
  int code = 0;
  bool operator==(const Failure&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Failure& failure) {
  return out << failure.status << " " << failure.code;
}
Failure failure_of(const HttpAnswer& answer) {
  const bool failed = answer.body.is_object() && answer.body.contains("error");
  return {answer.status, failed ? answer.body["error"]["code"].get<int>() : 0};
}

}  // namespace

TEST_CASE("A request is answered without a session") {
  const HttpSample server;
  HttpTalk talk(server);
  const auto list = stateless_post(1, "tools/list");
  const HttpAnswer answer = talk.post(list.body, list.headers);
  CHECK(answer.status == 200);
  CHECK(answer.body["result"]["resultType"] == "complete");
  CHECK(answer.headers.find("Mcp-Session-Id") == answer.headers.end());
  const auto call =
      stateless_post("x", "tools/call", {{"name", "echo"}, {"arguments", {{"text", "hi"}}}});
  CHECK(talk.post(call.body, call.headers).body["result"]["structuredContent"]["said"] == "hi");
}

TEST_CASE("Headers and body must agree, and each failure has its status and code") {
  const HttpSample server;
  HttpTalk talk(server);
  const auto post = [&](StatelessPost request) {
    return failure_of(talk.post(request.body, request.headers));
  };
  const auto with = [](StatelessPost request, const std::string& name, const char* value) {
    request.headers.erase(name);
    if (value != nullptr) request.headers.emplace(name, value);
    return request;
  };
  const StatelessPost call = stateless_post(1, "tools/call", {{"name", "echo"}});
  CHECK(post(with(call, "MCP-Protocol-Version", nullptr)) == Failure{400, kHeaderMismatch});
  CHECK(post(with(call, "MCP-Protocol-Version", "2025-11-25")) == Failure{400, kHeaderMismatch});
  CHECK(post(with(call, "Mcp-Method", nullptr)) == Failure{400, kHeaderMismatch});
  CHECK(post(with(call, "Mcp-Method", "tools/list")) == Failure{400, kHeaderMismatch});
  CHECK(post(with(call, "Mcp-Name", "other")) == Failure{400, kHeaderMismatch});
  CHECK(post(with(call, "Mcp-Name", " echo ")) == Failure{200, 0});

  StatelessPost other = call;
  other.body["params"]["_meta"][kMetaVersion] = "2099-01-01";
  CHECK(post(other) == Failure{400, kHeaderMismatch});
  CHECK(post(with(other, "MCP-Protocol-Version", "2099-01-01")) ==
        Failure{400, kUnsupportedVersion});
  other = call;
  other.body["params"]["_meta"].erase(kMetaCapabilities);
  CHECK(post(other) == Failure{400, kInvalidParams});
  other = call;
  other.body["params"].erase("_meta");
  CHECK(post(other) == Failure{400, kInvalidParams});

  CHECK(post(stateless_post(1, "no/such")) == Failure{404, kMethodNotFound});
  CHECK(post(stateless_post(1, "ping")) == Failure{404, kMethodNotFound});
  CHECK(post(stateless_post(1, "initialize")) == Failure{404, kMethodNotFound});
  CHECK(post(stateless_post(1, "tools/call", {{"name", "none"}})) == Failure{200, kInvalidParams});
  CHECK(post(stateless_post(1, "resources/read", {{"uri", "test://none"}})) ==
        Failure{200, kInvalidParams});
  CHECK(post(stateless_post(1, "tasks/get", {{"taskId", "none"}})) ==
        Failure{400, kMissingCapability});
}

TEST_CASE("Notifications are taken and GET is not offered") {
  const HttpSample server;
  HttpTalk talk(server);
  talk.standing = {{"MCP-Protocol-Version", "2026-07-28"}};
  CHECK(talk.post({{"jsonrpc", "2.0"},
                   {"method", "notifications/cancelled"},
                   {"params", {{"requestId", 1}}}})
            .status == 202);
  CHECK(talk.post({{"jsonrpc", "2.0"}, {"id", 1}, {"result", Json::object()}}).status == 400);
  CHECK(talk.get().status == 405);
}

TEST_CASE("A client that hangs up has cancelled its call") {
  HttpSample server;
  {
    RawTalk talk(server);
    talk.say(raw_stateless(stateless_post(1, "tools/call", {{"name", "wait"}})));
    talk.hear(": open");
  }
  server.sample.service.calls().wait_idle();  // would wait for ever were it not cancelled
  {
    RawTalk talk(server);  // the same before anything was answered
    talk.say(raw_stateless(stateless_post(1, "tools/call", {{"name", "wait"}})));
  }
  server.sample.service.calls().wait_idle();
  HttpTalk after(server);
  const auto list = stateless_post(1, "tools/list");
  CHECK(after.post(list.body, list.headers).status == 200);
}

TEST_CASE("Progress comes before the answer on one stream; one that takes JSON only waits") {
  const HttpSample server;
  StatelessPost call = stateless_post(1, "tools/call", {{"name", "count"}});
  call.body["params"]["_meta"]["progressToken"] = 7;
  RawTalk talk(server);
  talk.say(raw_stateless(call));
  const std::string heard = talk.hear("\"id\":1");
  CHECK(heard.find("text/event-stream") != std::string::npos);
  CHECK(heard.find("X-Accel-Buffering: no") != std::string::npos);
  CHECK(heard.find("notifications/progress") < heard.find("\"id\":1"));
  CHECK(heard.find("\nid: ") == std::string::npos);  // nothing to come back to in this revision

  HttpTalk json_only(server);
  call.headers.emplace("Accept", "application/json");
  const HttpAnswer answer = json_only.post(call.body, call.headers);
  CHECK(answer.body["result"]["content"][0]["text"] == "counted");
  call.headers.erase("Accept");
  call.headers.emplace("Accept", "text/html");
  CHECK(json_only.post(call.body, call.headers).status == 406);
}

TEST_CASE("listen is a stream that ends when the server closes, with a result") {
  HttpSample server;
  RawTalk talk(server);
  talk.say(raw_stateless(stateless_post("l", "subscriptions/listen",
                                        {{"notifications", {{"toolsListChanged", true}}}})));
  talk.hear("subscriptions/acknowledged");
  server.sample.changes.tell({Change::Kind::tools, ""});
  talk.hear("tools/list_changed");
  server.end();
  const std::string all = talk.hear("\"id\":\"l\"");
  CHECK(all.find("\"result\"") != std::string::npos);
  CHECK(talk.hear_end());
}

}  // namespace rgt::mcp
