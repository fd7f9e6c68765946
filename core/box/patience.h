// SPDX-License-Identifier: MIT
// Patience: until when a step may take, and who may say stop earlier. Made once per call and passed
// down, so that the steps of one call share one deadline instead of adding theirs up.
#pragma once

#include <algorithm>
#include <chrono>
#include <stop_token>

#include "core/base/clock.h"

namespace rgt {

struct Patience {
  using Steady = std::chrono::steady_clock;

  Steady::time_point until = {};
  std::stop_token stop = {};

  bool over() const { return stop.stop_requested() || Steady::now() >= until; }
  Milliseconds left() const {
    const auto rest = std::chrono::ceil<Milliseconds>(until - Steady::now());
    return std::max(rest, Milliseconds(0));
  }
  // The same stop, and at most `limit` from now.
  Patience at_most(Milliseconds limit) const {
    return {std::min(until, Steady::now() + limit), stop};
  }
};

}  // namespace rgt
