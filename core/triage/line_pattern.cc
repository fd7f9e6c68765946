// SPDX-License-Identifier: MIT
#include "core/triage/line_pattern.h"

#include <re2/re2.h>

#include "core/base/text.h"
#include "core/triage/log_lines.h"
#include "core/triage/person_pattern.h"

namespace rgt {

struct LinePattern::Compiled {
  std::unique_ptr<RE2> expression;
};

LinePattern::LinePattern(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
LinePattern::LinePattern(LinePattern&&) noexcept = default;
LinePattern& LinePattern::operator=(LinePattern&&) noexcept = default;
LinePattern::~LinePattern() = default;

Result<LinePattern> LinePattern::parse(std::string_view pattern) {
  const std::string hint = "write RE2, for instance \"Training (completed|finished)\"";
  auto expression = compile_person_pattern(pattern, "marker", hint);
  if (!expression) return expression.error();
  if (RE2::PartialMatch("", **expression))
    return Error{Code::invalid_argument, "marker: it is found in an empty line, so in every log",
                 hint};
  return LinePattern(std::make_unique<Compiled>(Compiled{std::move(*expression)}));
}

std::string LinePattern::last_match(std::string_view log_bytes) const {
  constexpr std::size_t kLineBytes = 4096;
  for (LinesFromEnd lines(log_bytes); const auto raw = lines.next();) {
    std::string line = clean_line(*raw, kLineBytes);
    if (RE2::PartialMatch(line, *compiled_->expression)) return line;
  }
  return {};
}

}  // namespace rgt
