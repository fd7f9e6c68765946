// SPDX-License-Identifier: MIT
#include "tools/report.h"

#include <algorithm>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kTextLimit = 4096;  // bytes: agents pay for each; details are in the JSON

// Cuts on a line border, and says so.
std::string bounded(std::string text) {
  constexpr std::string_view kMore =
      "\n(more in the structured result; use --json on the command line)";
  if (text.size() <= kTextLimit) return text;
  const std::size_t room = kTextLimit - kMore.size();
  const std::size_t line_end = text.rfind('\n', room);
  text.resize(line_end == std::string::npos ? room : line_end);
  return text + std::string(kMore);
}

}  // namespace

void Report::cite(const std::vector<std::string>& entry_ids) {
  for (const std::string& id : entry_ids) {
    const bool known = handbook_.find_entry(id) != nullptr;
    const bool cited = std::find(references_.begin(), references_.end(), id) != references_.end();
    if (known && !cited) references_.push_back(id);
  }
}

std::string Report::text() const {
  std::string text = summary_;
  // Next steps come before the details: a host that cuts long output must not cut them.
  for (const NextStep& step : next_) {
    text += "\nNext: " + step.say;
    if (!step.tool.empty()) {
      const Json arguments = step.arguments.is_null() ? Json::object() : step.arguments;
      text += " -> " + step.tool + " " + arguments.dump();
    }
  }
  if (!references_.empty()) text += "\nHandbook: " + join(references_, ", ");
  for (const std::string& line : lines_) text += "\n" + line;
  return bounded(std::move(text));
}

ToolResult Report::finish() const {
  Json structured = fields_;
  structured["summary"] = summary_;
  structured["verdict"] = verdict_;
  structured["next"] = Json::array();
  for (const NextStep& step : next_) structured["next"].push_back(next_to_json(step));
  Json references = Json::array();
  for (const std::string& id : references_) {
    references.push_back({{"id", id}, {"uri", handbook_.find_entry(id)->uri}});
  }
  structured["references"] = std::move(references);
  return ToolResult{std::move(structured), text(), false, exit_};
}

Json next_to_json(const NextStep& step) {
  Json entry{{"say", step.say}};
  if (step.tool.empty()) return entry;
  entry["tool"] = step.tool;
  entry["arguments"] = step.arguments.is_null() ? Json::object() : step.arguments;
  return entry;
}

ToolResult usage_error(const Error& error) {
  std::string text = error.message;
  if (!error.next.empty()) text += "\nNext: " + error.next;
  const Exit exit = error.code == Code::refused ? Exit::refused : Exit::usage;
  return ToolResult{
      Json{{"error", code_name(error.code)}, {"message", error.message}, {"next", error.next}},
      std::move(text), true, exit};
}

bool is_box_trouble(Code code) {
  switch (code) {
    case Code::unreachable:
    case Code::auth_failed:
    case Code::host_key_unknown:
    case Code::host_key_changed:
    case Code::timeout: return true;
    default: return false;
  }
}

ToolResult trouble_report(const Handbook& handbook, const Error& error, Json fields,
                          std::vector<NextStep> then) {
  Report report(handbook, std::string(code_name(error.code)));
  report.set_summary(error.message);
  report.set_exit(is_box_trouble(error.code)    ? Exit::unreachable
                  : error.code == Code::refused ? Exit::refused
                                                : Exit::attention);
  for (auto& [key, value] : fields.items()) report.field(key) = value;
  if (!error.next.empty()) report.add_next({error.next, "", nullptr});
  for (NextStep& step : then) report.add_next(std::move(step));
  return report.finish();
}

Json output_schema(Json properties, std::vector<std::string> required) {
  properties["summary"] = {{"type", "string"}};
  properties["verdict"] = {{"type", "string"}};
  properties["next"] = {{"type", "array"}, {"items", {{"type", "object"}, {"required", {"say"}}}}};
  properties["references"] = {{"type", "array"}, {"items", {{"type", "object"}}}};
  for (const char* name : {"summary", "verdict", "next", "references"}) required.push_back(name);
  return {{"type", "object"}, {"properties", std::move(properties)}, {"required", required}};
}

Json input_schema(Json properties, std::vector<std::string> required) {
  Json schema{{"type", "object"},
              {"properties", properties.is_null() ? Json::object() : std::move(properties)},
              {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = required;
  return schema;
}

std::string text_or(const Json& object, const char* key, std::string fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : fallback;
}
std::int64_t integer_or(const Json& object, const char* key, std::int64_t fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>()
                                                             : fallback;
}
double number_or(const Json& object, const char* key, double fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : fallback;
}
bool flag_or(const Json& object, const char* key, bool fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() ? found->get<bool>() : fallback;
}

}  // namespace rgt
