// SPDX-License-Identifier: MIT
#include "core/triage/line_pattern.h"

#include <re2/re2.h>

#include "core/base/text.h"
#include "core/triage/log_lines.h"

namespace rgt {

struct LinePattern::Compiled {
  explicit Compiled(std::string_view pattern, const RE2::Options& options)
      : expression(re2::StringPiece(pattern.data(), pattern.size()), options) {}
  RE2 expression;
};

LinePattern::LinePattern(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
LinePattern::LinePattern(LinePattern&&) noexcept = default;
LinePattern& LinePattern::operator=(LinePattern&&) noexcept = default;
LinePattern::~LinePattern() = default;

Result<LinePattern> LinePattern::parse(std::string_view pattern) {
  constexpr std::size_t kPatternBytes = 500;        // a person typed it
  constexpr std::int64_t kPatternMemory = 1 << 20;  // bytes of RE2's program
  const std::string hint = "write RE2, for instance \"Training (completed|finished)\"";
  if (pattern.empty() || pattern.size() > kPatternBytes)
    return Error{Code::invalid_argument, "marker: expected 1 to 500 bytes", hint};
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kPatternMemory);
  auto compiled = std::make_unique<Compiled>(pattern, options);
  const RE2& expression = compiled->expression;
  if (!expression.ok())
    return Error{Code::invalid_argument, "marker: " + clean_line(expression.error(), 200), hint};
  if (RE2::PartialMatch("", expression))
    return Error{Code::invalid_argument, "marker: it is found in an empty line, so in every log",
                 hint};
  return LinePattern(std::move(compiled));
}

std::string LinePattern::last_match(std::string_view log_bytes) const {
  constexpr std::size_t kLineBytes = 4096;
  if (log_bytes.size() > kTriageBytes) log_bytes.remove_prefix(log_bytes.size() - kTriageBytes);
  while (!log_bytes.empty()) {
    const std::size_t end = log_bytes.find_last_of("\r\n");
    const std::size_t start = end == std::string_view::npos ? 0 : end + 1;
    std::string line = clean_line(log_bytes.substr(start), kLineBytes);
    if (RE2::PartialMatch(line, compiled_->expression)) return line;
    log_bytes = log_bytes.substr(0, start == 0 ? 0 : end);
  }
  return {};
}

}  // namespace rgt
