// SPDX-License-Identifier: MIT
// Report: the shape that all results share (summary, verdict, next, references) and its two forms.
// Some hosts show the model only the structured form, others only the text: both are complete.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/handbook/handbook.h"
#include "tools/tool.h"

namespace rgt {

// One thing to do now: a tool to call with these arguments, or words to tell the user.
struct NextStep {
  std::string say = {};      // always: why, or what to tell the user
  std::string tool = {};     // empty when only a person can do it
  Json arguments = nullptr;  // for `tool`
};

Json next_to_json(const NextStep& step);

class Report {
 public:
  Report(const Handbook& handbook, std::string verdict)
      : handbook_(handbook), verdict_(std::move(verdict)) {}

  void set_verdict(std::string verdict) { verdict_ = std::move(verdict); }
  void set_summary(std::string summary) { summary_ = std::move(summary); }
  void set_exit(Exit exit) { exit_ = exit; }
  void add_line(std::string line) { lines_.push_back(std::move(line)); }
  void add_next(NextStep step) { next_.push_back(std::move(step)); }
  // Ids that the handbook does not know are a bug of ours and are left out of the result.
  void cite(const std::vector<std::string>& entry_ids);
  // Tool-specific fields of the structured form.
  Json& field(const std::string& name) { return fields_[name]; }

  ToolResult finish() const;

 private:
  std::string text() const;

  const Handbook& handbook_;
  std::string verdict_ = {};
  std::string summary_ = {};
  Exit exit_ = Exit::fine;
  std::vector<std::string> lines_ = {};
  std::vector<NextStep> next_ = {};
  std::vector<std::string> references_ = {};
  Json fields_ = Json::object();
};

// The tool was not used right: an error result that says what to change.
ToolResult usage_error(const Error& error);

// A box or our own disk said no: a normal report with the code as its verdict, the message, what to
// do next, and the exit code that the command line promises for it.
ToolResult trouble_report(const Handbook& handbook, const Error& error, Json fields,
                          std::vector<NextStep> then);
bool is_box_trouble(Code code);  // unreachable, auth_failed, host key, timeout, ...

// Output schema that every tool shares, plus `properties` of its own (all optional but `required`).
Json output_schema(Json properties, std::vector<std::string> required);
// Input schema: closed object with these properties.
Json input_schema(Json properties, std::vector<std::string> required);

// Arguments were checked against the schema before the tool runs; these never throw.
std::string text_or(const Json& object, const char* key, std::string fallback = {});
std::int64_t integer_or(const Json& object, const char* key, std::int64_t fallback);
double number_or(const Json& object, const char* key, double fallback);
bool flag_or(const Json& object, const char* key, bool fallback);

}  // namespace rgt
