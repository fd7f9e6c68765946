// SPDX-License-Identifier: MIT
// What `rgt eval` found, as a table's line, as JSON, and as JUnit XML for CI.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace rgt {

struct CaseResult {
  enum class End { pass, fail, skipped };
  std::string id = {};
  std::string about = {};
  End end = End::skipped;
  std::string why = {};  // of a failure or a skip
  double seconds = 0;
};

std::string case_line(const CaseResult& result);  // with its newline
nlohmann::json cases_json(const std::vector<CaseResult>& results);
std::string cases_junit(const std::vector<CaseResult>& results);
std::size_t count_ends(const std::vector<CaseResult>& results, CaseResult::End end);

}  // namespace rgt
