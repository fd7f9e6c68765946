// SPDX-License-Identifier: MIT
// Whole conversations with a session, over a transport in memory.
#include "server/session.h"

#include <condition_variable>
#include <deque>
#include <thread>

#include <catch2/catch.hpp>

namespace rgt::mcp {
namespace {

using namespace std::chrono_literals;

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
    const std::scoped_lock lock(mutex_);
    outgoing_.push_back(Json::parse(message));
    changed_.notify_all();
    return true;
  }
  void say(const Json& message) { put({Incoming::Kind::message, message.dump()}); }
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
    const bool came = changed_.wait_for(lock, 10s, [&] {
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
};

class EmptyLibrary final : public Library {
 public:
  std::vector<Resource> resources() override {
    return {{"test://a", "a", "A", "first", "text/plain", 1}};
  }
  std::vector<ResourceTemplate> templates() override { return {}; }
  Result<Resource> describe(const std::string&) override {
    return Error{Code::not_found, "no", ""};
  }
  Result<std::string> read(const std::string& uri) override {
    if (uri == "test://a") return std::string("text of a");
    return Error{Code::not_found, "no resource " + uri, ""};
  }
  std::vector<Prompt> prompts() override { return {}; }
  Result<std::string> prompt(const std::string&,
                             const std::map<std::string, std::string>&) override {
    return Error{Code::not_found, "no", ""};
  }
  std::vector<std::string> complete(const std::string&, const std::string&) override {
    return std::vector<std::string>(150, "x");
  }
};

Tool tool(const std::string& name, std::function<ToolResult(const Json&, const Call&)> run) {
  const Json schema = Json::parse(
      R"({"type":"object","properties":{"text":{"type":"string"}},"additionalProperties":false})");
  return {{name, name, "a test tool", schema, Json::parse(R"({"type":"object"})"), {}},
          std::move(run)};
}

std::vector<Tool> test_tools() {
  return {
      tool("echo",
           [](const Json& arguments, const Call&) {
             return ToolResult{{{"said", arguments.value("text", "")}}, "said", false, Exit::fine};
           }),
      tool("wait",
           [](const Json&, const Call& call) {
             while (!call.stop.stop_requested()) std::this_thread::sleep_for(5ms);
             return ToolResult{Json::object(), "stopped", false, Exit::fine};
           }),
      tool("ask",
           [](const Json&, const Call& call) {
             const Answer answer = call.ask_human({"key", "Really?", "word", "A word", ""});
             return ToolResult{{{"kind", static_cast<int>(answer.kind)}, {"typed", answer.typed}},
                               answer.who,
                               false,
                               Exit::fine};
           }),
      tool("count",
           [](const Json&, const Call& call) {
             for (int i = 0; i < 5; ++i) {
               call.report(0, 1, "phase " + std::to_string(i));
               std::this_thread::sleep_for(110ms);
             }
             return ToolResult{Json::object(), "counted", false, Exit::fine};
           }),
      tool("throw", [](const Json&, const Call&) -> ToolResult {
        throw std::runtime_error("secret detail");
      })};
}

struct Conversation {
  SystemClock clock = {};
  EmptyLibrary library = {};
  MemoryTransport transport = {};
  std::vector<Tool> tools = test_tools();
  std::jthread server;

  explicit Conversation(SessionOptions options = {}) {
    server = std::jthread([this, options] {
      Session session({"test", "Test", "1", "instructions"}, tools, library, clock, transport,
                      options);
      session.serve();
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

}  // namespace

TEST_CASE("The handshake answers the revision that was offered, or the newest we speak") {
  for (const char* revision : {"2025-11-25", "2025-06-18", "2024-11-05"}) {
    Conversation talk;
    CHECK(talk.request(1, "initialize",
                       {{"protocolVersion", revision}})["result"]["protocolVersion"] == revision);
  }
  Conversation talk;
  CHECK(talk.request(1, "initialize",
                     {{"protocolVersion", "2099-01-01"}})["result"]["protocolVersion"] ==
        "2025-11-25");
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
  SessionOptions options;
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
  for (std::size_t i = 0; i < Calls::kAtOnce; ++i) talk.call(i, "wait");
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
      talk.transport.say({{"jsonrpc", "2.0"}, {"id", form["id"]}, {"result", form_result}});
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
  const Json missing = talk.request(2, "resources/read", {{"uri", "test://b"}});
  CHECK(missing["error"]["code"] == kResourceNotFound);
  CHECK(missing["error"]["data"]["uri"] == "test://b");
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

}  // namespace rgt::mcp
