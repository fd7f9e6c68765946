// SPDX-License-Identifier: MIT
#include "core/triage/pace.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/base/text.h"

namespace rgt {
namespace {

// 16: a day of patrols, thinned, and a few hundred bytes in the ledger.
constexpr std::size_t kPoints = 16;
// 60 s: below it the moments of looking, not the training, make the rate.
constexpr std::int64_t kLatest = 60;
// 5 s: two looks in a row may still give a first guess.
constexpr std::int64_t kLeastSpan = 5;
// Ten years: beyond it an estimate says only that nothing moves.
constexpr double kMostLeft = 10 * 365 * 86400.0;

std::optional<double> rate_between(const PacePoint& from, const PacePoint& to) {
  const std::int64_t span = to.time - from.time;
  if (span < kLeastSpan) return {};
  return (to.at - from.at) / static_cast<double>(span);
}

// Drops the point between whose neighbours the least time lies: what stays is spread over all of
// the run. The first and the newest two are kept.
void thin(std::vector<PacePoint>& points) {
  std::size_t least = 1;
  for (std::size_t i = 1; i + 2 < points.size(); ++i) {
    const auto gap = [&](std::size_t k) { return points[k + 1].time - points[k - 1].time; };
    if (gap(i) < gap(least)) least = i;
  }
  points.erase(points.begin() + static_cast<std::ptrdiff_t>(least));
}

}  // namespace

std::optional<Mark> mark_of(const Progress& progress) {
  const bool whole = progress.epoch && *progress.epoch == std::floor(*progress.epoch);
  if (progress.epoch && progress.epochs) {
    Mark mark{"epoch", *progress.epoch, static_cast<double>(*progress.epochs)};
    // "Epoch 3/10 ... 120/266": two are through, and a part of the third.
    if (whole && progress.step && progress.steps) {
      mark.at = std::max(0.0, *progress.epoch - 1) +
                static_cast<double>(*progress.step) / static_cast<double>(*progress.steps);
    }
    return mark;
  }
  if (progress.step) {
    Mark mark{"step", static_cast<double>(*progress.step), {}};
    if (progress.steps) mark.total = static_cast<double>(*progress.steps);
    return mark;
  }
  if (progress.epoch) return Mark{"epoch", *progress.epoch, {}};
  return {};
}

Pace Pace::parse(std::string_view text) {
  Pace pace;
  const std::vector<std::string_view> words = split(text, ' ');
  if (words.size() < 2 || words.size() > kPoints + 1) return {};
  pace.unit_ = clean_line(words[0], 16);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t colon = words[i].find(':');
    if (colon == std::string_view::npos) return {};
    const auto time = parse_int(words[i].substr(0, colon));
    const double at = std::strtod(std::string(words[i].substr(colon + 1)).c_str(), nullptr);
    const bool rises = pace.points_.empty() ||
                       (time && *time > pace.points_.back().time && at > pace.points_.back().at);
    if (!time || !std::isfinite(at) || !rises) return {};
    pace.points_.push_back({*time, at});
  }
  return pace;
}

std::string Pace::text() const {
  if (points_.empty()) return {};
  std::string text = unit_;
  for (const PacePoint& point : points_) {
    char number[40];
    std::snprintf(number, sizeof number, "%.6g", point.at);
    text += " " + std::to_string(point.time) + ":" + number;
  }
  return text;
}

void Pace::add(const Mark& mark, std::int64_t time) {
  const bool anew = unit_ != mark.unit || points_.empty() || mark.at < points_.back().at ||
                    time < points_.back().time;
  if (anew) {
    unit_ = mark.unit;
    points_ = {{time, mark.at}};
    return;
  }
  if (mark.at == points_.back().at) return;
  if (time == points_.back().time) {
    points_.back().at = mark.at;
    return;
  }
  points_.push_back({time, mark.at});
  if (points_.size() > kPoints) thin(points_);
}

PaceRates Pace::rates() const {
  if (points_.size() < 2) return {};
  const PacePoint& newest = points_.back();
  std::size_t from = 0;  // the newest point that is at least kLatest older, else the oldest
  for (std::size_t i = 0; i + 1 < points_.size(); ++i) {
    if (newest.time - points_[i].time >= kLatest) from = i;
  }
  PaceRates rates;
  rates.now = rate_between(points_[from], newest);
  if (from > 0 && points_[from].time - points_[0].time >= kLatest)
    rates.before = rate_between(points_[0], points_[from]);
  return rates;
}

std::optional<std::int64_t> Pace::left(const Mark& mark) const {
  const PaceRates pace = rates();
  if (!mark.total || mark.unit != unit_ || !pace.now || *pace.now <= 0) return {};
  const double seconds = std::max(0.0, *mark.total - mark.at) / *pace.now;
  if (seconds > kMostLeft) return {};
  return static_cast<std::int64_t>(seconds);
}

}  // namespace rgt
