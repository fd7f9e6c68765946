// SPDX-License-Identifier: MIT
// Times that a box gave, made safe to count with.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rgt {

// Seconds since 1970, within 34,000 years: sums and differences of such times cannot overflow,
// whatever the box said.
inline std::int64_t sane_time(std::int64_t time) {
  return std::clamp<std::int64_t>(time, 0, 1LL << 40);
}

}  // namespace rgt
