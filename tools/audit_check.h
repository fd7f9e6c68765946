// SPDX-License-Identifier: MIT
// One line of an audit: what was measured, the limit it was held against, and what to do.
#pragma once

#include <string>
#include <vector>

namespace rgt {

// unknown: it could not be measured here, which is not health. It does not make the box worse than
// its other checks, but it is counted and shown.
enum class Grade { pass, unknown, warn, fail };

struct Check {
  std::string id = {};
  Grade grade = Grade::pass;
  std::string measured = {};
  std::string limit = {};
  std::string fix = {};  // for warn and fail
  std::vector<std::string> references = {};
  std::string audit_as = {};  // the profile to audit again with; empty: none
};

using Checks = std::vector<Check>;

}  // namespace rgt
