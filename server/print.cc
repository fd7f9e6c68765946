// SPDX-License-Identifier: MIT
#include "server/print.h"

#include <iostream>

#include "core/base/text.h"
#include "tools/report.h"

namespace rgt {

int print_json(const Json& json) {
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  return 0;
}

int print_result(const ToolResult& result, bool json) {
  if (json)
    print_json(result.structured);
  else
    (result.is_error ? std::cerr : std::cout)
        << (result.is_error ? "rgt: " : "") << result.text << "\n";
  return static_cast<int>(result.exit);
}

int print_error(const Error& error) {
  std::cerr << "rgt: " << error.message << "\n";
  if (!error.next.empty()) std::cerr << "Next: " << error.next << "\n";
  if (is_box_trouble(error.code)) return static_cast<int>(Exit::unreachable);
  if (error.code == Code::refused) return static_cast<int>(Exit::refused);
  const bool ours = error.code == Code::io || error.code == Code::corrupt;
  return static_cast<int>(ours ? Exit::attention : Exit::usage);
}

void ProgressLine::show(const std::string& message) {
  const auto now = std::chrono::steady_clock::now();
  if (!on_terminal_ || (shown_ && now - last_ < std::chrono::milliseconds(100))) return;
  last_ = now;
  shown_ = true;
  std::cerr << "\r\x1b[K" << clean_line(message, 100) << std::flush;
}

void ProgressLine::clear() {
  if (shown_) std::cerr << "\r\x1b[K" << std::flush;
  shown_ = false;
}

}  // namespace rgt
