// SPDX-License-Identifier: MIT
#include "core/triage/person_pattern.h"

#include <re2/re2.h>

#include "core/base/text.h"

namespace rgt {

Result<std::unique_ptr<re2::RE2>> compile_person_pattern(std::string_view pattern,
                                                         const std::string& what,
                                                         const std::string& hint) {
  constexpr std::size_t kPatternBytes = 500;
  constexpr std::int64_t kPatternMemory = 1 << 20;  // bytes of RE2's program
  if (pattern.empty() || pattern.size() > kPatternBytes)
    return Error{Code::invalid_argument, what + ": expected 1 to 500 bytes", hint};
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kPatternMemory);
  auto compiled = std::make_unique<RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!compiled->ok())
    return Error{Code::invalid_argument, what + ": " + clean_line(compiled->error(), 200), hint};
  return compiled;
}

}  // namespace rgt
