// SPDX-License-Identifier: MIT
#include "server/mcp/tool_adapter.h"

#include <chrono>
#include <mutex>
#include <utility>

#include "core/base/text.h"

namespace rgt::mcp {
namespace {

// More often tells nobody anything and costs the client work.
constexpr Milliseconds kBetweenProgress(100);

Json card_of(const Card& card) {
  Json entry{{"name", card.name},
             {"title", card.title},
             {"description", card.description},
             {"inputSchema", card.input_schema},
             {"annotations",
              {{"readOnlyHint", card.annotations.read_only},
               {"destructiveHint", card.annotations.destructive},
               {"idempotentHint", card.annotations.idempotent},
               {"openWorldHint", card.annotations.open_world}}}};
  if (!card.output_schema.is_null()) entry["outputSchema"] = card.output_schema;
  return entry;
}

// `progress` must only grow, while a tool goes through phases that each begin at zero: so it counts
// reports, and the message carries the figures.
class ProgressReports {
 public:
  ProgressReports(Context& context, std::string tool) : context_(context), tool_(std::move(tool)) {}

  void report(const std::string& message) {
    const std::scoped_lock lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (count_ > 0 && now - last_ < kBetweenProgress) return;
    last_ = now;
    context_.progress(static_cast<double>(++count_), std::nullopt, message);
    context_.log(LogLevel::info, tool_, message);
  }

 private:
  Context& context_;
  const std::string tool_;
  std::mutex mutex_ = {};
  std::int64_t count_ = 0;
  std::chrono::steady_clock::time_point last_ = {};
};

// A form with one text field that is neither prefilled nor defaulted.
InputRequest form_of(const Question& question) {
  Json field{{"type", "string"}, {"minLength", 1}};
  if (!question.field_title.empty()) field["title"] = question.field_title;
  if (!question.field_description.empty()) field["description"] = question.field_description;
  return {question.key,
          "elicitation/create",
          {{"mode", "form"},
           {"message", question.message},
           {"requestedSchema",
            {{"type", "object"},
             {"properties", {{question.field, std::move(field)}}},
             {"required", {question.field}}}}},
          true};
}

Answer ask(Context& context, const Question& question) {
  const Inputs inputs = context.ask({form_of(question)});
  if (inputs.kind == Inputs::Kind::unavailable) return {Answer::Kind::unavailable, "", ""};
  if (inputs.kind == Inputs::Kind::waiting) return {Answer::Kind::must_wait, "", ""};
  const Json& answer = inputs.given.at(question.key);
  if (answer["action"] == "decline") return {Answer::Kind::declined, "", ""};
  // A form that was accepted without its field is no answer; its schema was held against it before.
  if (answer["action"] != "accept" || !answer.contains("content"))
    return {Answer::Kind::cancelled, "", ""};
  const std::string client =
      context.client_name().empty() ? "unnamed client" : context.client_name();
  return {Answer::Kind::given, answer["content"][question.field].get<std::string>(),
          "form:" + clean_line(client, 60)};
}

}  // namespace

Json call_tool_result(const ToolResult& result) {
  Json reply{{"content", Json::array({{{"type", "text"}, {"text", result.text}}})},
             {"isError", result.is_error}};
  if (!result.is_error && result.structured.is_object())
    reply["structuredContent"] = result.structured;
  return reply;
}

ServedTool serve_tool(const Tool& tool, const Clock& clock) {
  ServedTool served;
  served.card = card_of(tool.card);
  served.input = std::make_shared<const Schema>(tool.card.input_schema);
  if (!tool.card.output_schema.is_null())
    served.output = std::make_shared<const Schema>(tool.card.output_schema);
  served.tasks = tool.card.long_running ? ServedTool::Tasks::allowed : ServedTool::Tasks::never;
  served.run = [run = tool.run, name = tool.card.name, &clock](const Json& arguments,
                                                               Context& context) -> Outcome {
    ProgressReports reports(context, name);
    Call call;
    call.now = clock.now();
    call.stop = context.stop();
    call.progress = [&reports](double, double, const std::string& message) {
      reports.report(message);
    };
    call.ask = [&context](const Question& question) { return ask(context, question); };
    return call_tool_result(run(arguments, call));
  };
  return served;
}

}  // namespace rgt::mcp
