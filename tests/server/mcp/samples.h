// SPDX-License-Identifier: MIT
// A small server to talk to: a few tools that wait, ask, count and throw; a library of a few texts.
#pragma once

#include <chrono>
#include <stdexcept>
#include <thread>

#include "server/mcp/service.h"
#include "server/mcp/tool_adapter.h"
#include "tests/server/mcp/sample_library.h"

namespace rgt::mcp {

inline Tool sample_tool(const std::string& name,
                        std::function<ToolResult(const Json&, const Call&)> run) {
  const Json schema = Json::parse(
      R"({"type":"object","properties":{"text":{"type":"string"}},"additionalProperties":false})");
  Tool tool{{name, name, "a test tool", schema, Json::parse(R"({"type":"object"})"), {}},
            std::move(run)};
  tool.card.long_running = name == "wait" || name == "ask";
  return tool;
}

inline ToolResult wait_until_stopped(const Json&, const Call& call) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait(lock, call.stop, [] { return false; });
  return {Json::object(), "stopped", false, Exit::fine};
}

inline std::vector<ServedTool> sample_tools(const Clock& clock) {
  const std::vector<Tool> tools{
      sample_tool(
          "echo",
          [](const Json& arguments, const Call&) {
            return ToolResult{{{"said", arguments.value("text", "")}}, "said", false, Exit::fine};
          }),
      sample_tool("wait", wait_until_stopped),
      sample_tool("ask",
                  [](const Json&, const Call& call) {
                    const Answer answer = call.ask_human({"key", "Really?", "word", "A word", ""});
                    return ToolResult{
                        {{"kind", static_cast<int>(answer.kind)}, {"typed", answer.typed}},
                        answer.who,
                        false,
                        Exit::fine};
                  }),
      sample_tool("count",
                  [](const Json&, const Call& call) {
                    for (int i = 0; i < 5; ++i) {
                      call.report(0, 1, "phase " + std::to_string(i));
                      std::this_thread::sleep_for(Milliseconds(110));  // reports are rate-limited
                    }
                    return ToolResult{Json::object(), "counted", false, Exit::fine};
                  }),
      sample_tool("throw", [](const Json&, const Call&) -> ToolResult {
        throw std::runtime_error("secret detail");
      })};
  std::vector<ServedTool> served;
  for (const Tool& tool : tools) served.push_back(serve_tool(tool, clock));
  return served;
}

struct SampleServer {
  SystemClock clock = {};
  SampleLibrary library = {};
  Changes changes = {};
  ToolSet tools;
  Service service;

  explicit SampleServer(ServiceOptions options = {})
      : tools(sample_tools(clock)), service(offer(), clock, options) {}
  Offer offer() {
    ServerInfo info;
    info.name = "test";
    info.title = "Test";
    info.version = "1";
    info.instructions = "instructions";
    return {info, tools, library, changes, true};
  }
};

}  // namespace rgt::mcp
