// SPDX-License-Identifier: MIT
// A raw log ending read as lines: cleaned, bounded, with Python tracebacks told apart from plain
// output and with the last sign of progress marked. Knows shapes, not causes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rgt {

// 64 KiB: an error storm of a hundred ranks fits, and one triage stays far under a millisecond a
// line.
inline constexpr std::size_t kTriageBytes = 64 * 1024;

struct LogLine {
  enum class Shape {
    plain,
    frame,      // inside a traceback: source text, which quotes errors without meaning them
    exception,  // the line that ends a traceback: the type and its message
  };
  std::string text = {};  // cleaned, never empty
  Shape shape = Shape::plain;
  int chain = 0;          // exceptions that were raised from one another share a number; 0: none
  bool progress = false;  // says how far the run is
  bool survived = false;  // the run made progress after this line
};

// Only the last kTriageBytes are looked at. A carriage return ends a line as a line feed does: what
// a progress bar wrote over was said too.
std::vector<LogLine> read_log_lines(std::string_view raw);

// The lines of a log's last kTriageBytes as they are, the last one first.
class LinesFromEnd {
 public:
  explicit LinesFromEnd(std::string_view raw)
      : rest_(raw.substr(raw.size() - std::min(raw.size(), kTriageBytes))) {}
  std::optional<std::string_view> next();  // nothing: that was the first

 private:
  std::string_view rest_;
};

}  // namespace rgt
