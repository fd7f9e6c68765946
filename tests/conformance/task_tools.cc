// SPDX-License-Identifier: MIT
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "server/mcp/wire.h"
#include "tests/conformance/fixture.h"

namespace rgt::mcp::fixture {
namespace {

// True: the time passed. False: the call was stopped before.
bool work_for(const Context& context, double seconds) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, context.stop(), std::chrono::duration<double>(seconds),
                 [] { return false; });
  return !context.stop().stop_requested();
}

Json with_text(const char* name) {
  return {{"type", "object"}, {"properties", {{name, {{"type", "string"}}}}}, {"required", {name}}};
}

InputRequest ask_confirm(const std::string& key, const std::string& message) {
  return {key, "elicitation/create",
          form(message, {{"name", {{"type", "string"}}}, {"confirm", {{"type", "boolean"}}}}, {})};
}

Outcome slow_compute(const Json& arguments, Context& context) {
  const std::string label = arguments.value("label", "work");
  if (!work_for(context, arguments.value("seconds", 1.0))) return tool_error("cancelled");
  return text_result("computed " + label);
}

Outcome confirm_delete(const Json& arguments, Context& context) {
  const std::string file = arguments.at("filename");
  const Inputs inputs = context.ask({ask_confirm("confirm", "Delete " + file + "?")});
  if (inputs.kind == Inputs::Kind::waiting) return Json::object();
  if (inputs.kind == Inputs::Kind::unavailable) return tool_error("nobody confirmed");
  return text_result("deleted " + file);
}

Outcome multi_input(const Json&, Context& context) {
  const Inputs inputs =
      context.ask({ask_confirm("first", "Who are you?"), ask_confirm("second", "Who else?")});
  if (inputs.kind == Inputs::Kind::waiting) return Json::object();
  return text_result("got " + std::to_string(inputs.given.size()));
}

InputRequest ask_user_name() {
  return {"user_name", "elicitation/create",
          form("What is your name?", {{"name", {{"type", "string"}}}}, {"name"})};
}

Outcome greet_after_asking(const Json&, Context& context) {
  const Inputs inputs = context.ask({ask_user_name()});
  if (inputs.kind == Inputs::Kind::waiting) return Json::object();
  if (inputs.kind == Inputs::Kind::unavailable) return tool_error("this client cannot be asked");
  const Json content = inputs.given.at("user_name").value("content", Json::object());
  return text_result("Hello, " + content.value("name", "nobody") + "!");
}

ServedTool as_task(ServedTool tool, ServedTool::Tasks tasks = ServedTool::Tasks::allowed) {
  tool.tasks = tasks;
  return tool;
}

}  // namespace

std::vector<ServedTool> task_tools() {
  std::vector<ServedTool> tools;
  tools.push_back(
      tool("greet", "Greets at once", with_text("name"), [](const Json& arguments, Context&) {
        return text_result("Hello, " + arguments.at("name").get<std::string>() + "!");
      }));
  tools.push_back(as_task(tool("slow_compute", "Takes as long as it is told",
                               Json::parse(
                                   R"({"type":"object","properties":{"seconds":{"type":"number"},
                                       "label":{"type":"string"}}})"),
                               slow_compute)));
  tools.push_back(as_task(tool("failing_job", "Works for a second and fails", nullptr,
                               [](const Json&, Context& context) -> Outcome {
                                 work_for(context, 1);
                                 return tool_error("the job failed");
                               }),
                          ServedTool::Tasks::always));
  tools.push_back(as_task(tool("protocol_error_job", "Ends with a protocol error", nullptr,
                               [](const Json&, Context&) -> Outcome {
                                 return RpcError{kInternalError, "the job broke", nullptr};
                               })));
  tools.push_back(as_task(
      tool("confirm_delete", "Asks before it deletes", with_text("filename"), confirm_delete)));
  tools.push_back(as_task(tool("multi_input", "Asks two things at once", nullptr, multi_input)));
  ServedTool asks_first = as_task(
      tool("test_tool_with_task", "Asks, then works as a task", nullptr, greet_after_asking));
  asks_first.before_task = [](const Json&) { return std::vector<InputRequest>{ask_user_name()}; };
  tools.push_back(std::move(asks_first));
  return tools;
}

}  // namespace rgt::mcp::fixture
