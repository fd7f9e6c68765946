// SPDX-License-Identifier: MIT
// Trends: what the heartbeats of the last hours say about the hours to come. A straight line
// through what was measured, no more. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/box/look.h"

namespace rgt {

struct Trend {
  double per_hour = 0;                            // how much less is free, or more is used
  std::optional<std::int64_t> full_seconds = {};  // until nothing is left; where it shrinks
};

struct Trends {
  std::int64_t span_seconds = 0;   // of the heartbeats behind it
  std::optional<Trend> disk = {};  // bytes
  std::optional<Trend> inodes = {};
  std::optional<Trend> memory = {};     // bytes of the cgroup, towards its limit
  std::optional<int> gpu_percent = {};  // mean utilisation over heartbeats and cards
};

// Nothing where the heartbeats span less than two minutes or stopped long ago.
Trends trends_of(const RunReading& run, std::int64_t box_time);

// Heartbeats' "97%,1234 MiB;..." as the mean over its cards; nothing where there is no number.
std::optional<int> mean_utilisation(const std::string& gpu);

}  // namespace rgt
