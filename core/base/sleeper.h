// SPDX-License-Identifier: MIT
// Pauses between looks. Injected, so that the tests of what waits for hours take no time.
#pragma once

#include <stop_token>

#include "core/base/clock.h"

namespace rgt {

class Sleeper {
 public:
  virtual ~Sleeper() = default;
  // False: it was asked to stop before the time was up.
  virtual bool sleep(Milliseconds duration, std::stop_token stop) = 0;
};

class SystemSleeper final : public Sleeper {
 public:
  bool sleep(Milliseconds duration, std::stop_token stop) override;
};

}  // namespace rgt
