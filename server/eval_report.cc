// SPDX-License-Identifier: MIT
#include "server/eval_report.h"

#include <algorithm>
#include <cstdio>

#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using End = CaseResult::End;

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", seconds);
  return text;
}

// For text and attribute values alike.
std::string xml(const std::string& text) {
  std::string escaped;
  for (const char c : clean_line(text, 4000)) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

}  // namespace

std::size_t count_ends(const std::vector<CaseResult>& results, End end) {
  return static_cast<std::size_t>(std::count_if(
      results.begin(), results.end(), [&](const CaseResult& one) { return one.end == end; }));
}

std::string case_line(const CaseResult& result) {
  const char* word = result.end == End::pass   ? "pass  "
                     : result.end == End::fail ? "FAIL  "
                                               : "skip  ";
  return word + result.id + "  " + seconds_text(result.seconds) + " s\n" +
         (result.why.empty() ? "" : "      " + result.why + "\n");
}

nlohmann::json cases_json(const std::vector<CaseResult>& results) {
  nlohmann::json rows = nlohmann::json::array();
  for (const CaseResult& one : results) {
    rows.push_back({{"id", one.id},
                    {"pass", one.end == End::pass},
                    {"skipped", one.end == End::skipped},
                    {"why", one.why},
                    {"seconds", one.seconds}});
  }
  return {{"passed", count_ends(results, End::pass)},
          {"failed", count_ends(results, End::fail)},
          {"skipped", count_ends(results, End::skipped)},
          {"cases", std::move(rows)}};
}

std::string cases_junit(const std::vector<CaseResult>& results) {
  double seconds = 0;
  for (const CaseResult& one : results) seconds += one.seconds;
  std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"rgt eval\" tests=\"" +
      std::to_string(results.size()) + "\" failures=\"" +
      std::to_string(count_ends(results, End::fail)) + "\" skipped=\"" +
      std::to_string(count_ends(results, End::skipped)) + "\" time=\"" + seconds_text(seconds) +
      "\">\n";
  for (const CaseResult& one : results) {
    text += "  <testcase classname=\"rgt.eval\" name=\"" + xml(one.id) + "\" time=\"" +
            seconds_text(one.seconds) + "\">";
    if (one.end == End::fail)
      text += "<failure message=\"" + xml(one.about) + "\">" + xml(one.why) + "</failure>";
    if (one.end == End::skipped) text += "<skipped message=\"" + xml(one.why) + "\"/>";
    text += "</testcase>\n";
  }
  return text + "</testsuite>\n";
}

}  // namespace rgt
