// SPDX-License-Identifier: MIT
// What the commands print: results on stdout, errors and progress on stderr.
#pragma once

#include <chrono>
#include <string>

#include "core/base/result.h"
#include "tools/tool.h"

namespace rgt {

int print_result(const ToolResult& result, bool json);  // the exit code that belongs to it
int print_error(const Error& error);                    // likewise
int print_json(const Json& json);                       // 0

// One line on a person's terminal that is written over; silent when stderr is none.
class ProgressLine {
 public:
  explicit ProgressLine(bool on_terminal) : on_terminal_(on_terminal) {}
  void show(const std::string& message);
  void clear();

 private:
  const bool on_terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_ = {};
};

}  // namespace rgt
