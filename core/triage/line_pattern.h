// SPDX-License-Identifier: MIT
// A person's RE2 over the lines of a log, which are cleaned first; linear time, bounded memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace rgt {

class LinePattern {
 public:
  // Code::invalid_argument says what is wrong with it.
  static Result<LinePattern> parse(std::string_view pattern);
  LinePattern(LinePattern&&) noexcept;
  LinePattern& operator=(LinePattern&&) noexcept;
  ~LinePattern();

  // The last line in which it is found, cleaned; empty if none. At most the last 64 KiB.
  std::string last_match(std::string_view log_bytes) const;

 private:
  struct Compiled;
  explicit LinePattern(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace rgt
