// SPDX-License-Identifier: MIT
// Pace: how fast a cell gets on, from what earlier looks saw, and when it will be through. Box time
// only. Pure; kept as text in the ledger.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/triage/progress.h"

namespace rgt {

// Where a cell is, on one scale.
struct Mark {
  std::string unit = {};  // "step" or "epoch"
  double at = 0;
  std::optional<double> total = {};
};
// Epochs where the log tells their number, else steps, else bare epochs; nothing where neither.
std::optional<Mark> mark_of(const Progress& progress);

struct PacePoint {
  std::int64_t time = 0;  // box time of the look that first saw it
  double at = 0;
};

struct PaceRates {
  std::optional<double> now = {};     // units per second over the latest minute or more
  std::optional<double> before = {};  // over all the time before that
};

class Pace {
 public:
  // Foreign text gives an empty pace: it is a cache.
  static Pace parse(std::string_view text);
  std::string text() const;

  // A mark that is not ahead of the last one begins anew: the cell was started again, or counts
  // its steps per epoch.
  void add(const Mark& mark, std::int64_t time);

  bool advanced() const { return points_.size() >= 2; }
  PaceRates rates() const;
  // Seconds until the total at the present rate.
  std::optional<std::int64_t> left(const Mark& mark) const;

  const std::vector<PacePoint>& points() const { return points_; }

 private:
  std::string unit_ = {};
  std::vector<PacePoint> points_ = {};  // rising in both, at most kPoints
};

}  // namespace rgt
