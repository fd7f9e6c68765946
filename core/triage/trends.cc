// SPDX-License-Identifier: MIT
#include "core/triage/trends.h"

#include <algorithm>
#include <cmath>

#include "core/base/text.h"
#include "core/triage/box_time.h"

namespace rgt {
namespace {

// 120 s: below it one checkpoint being written is the whole trend.
constexpr std::int64_t kLeastSpan = 120;
constexpr std::size_t kLeastBeats = 3;
// One part in two thousand of what is free, per hour: less is the noise of logs.
constexpr double kNoise = 1.0 / 2000;
constexpr double kHour = 3600;

// A year: further ahead a straight line means nothing.
constexpr double kFarthest = 365 * 86400.0;

struct Sample {
  double time = 0;
  double value = 0;
};

// Least squares; per second.
double slope(const std::vector<Sample>& samples) {
  double mean_time = 0, mean_value = 0;
  for (const Sample& sample : samples) {
    mean_time += sample.time / static_cast<double>(samples.size());
    mean_value += sample.value / static_cast<double>(samples.size());
  }
  double above = 0, below = 0;
  for (const Sample& sample : samples) {
    above += (sample.time - mean_time) * (sample.value - mean_value);
    below += (sample.time - mean_time) * (sample.time - mean_time);
  }
  return below > 0 ? above / below : 0;
}

// `room`: what is left now of what `samples` count down (sign -1) or up (sign +1).
std::optional<Trend> trend(const std::vector<Sample>& samples, double sign, double room) {
  if (samples.size() < kLeastBeats) return {};
  const double shrinks = sign * slope(samples);  // per second
  Trend result{shrinks * kHour, {}};
  if (room > 0 && shrinks * kHour > room * kNoise && room / shrinks < kFarthest)
    result.full_seconds = static_cast<std::int64_t>(room / shrinks);
  return result;
}

}  // namespace

std::optional<int> mean_utilisation(const std::string& gpu) {
  std::int64_t sum = 0, cards = 0;
  for (const std::string_view card : split(gpu, ';')) {
    const std::size_t percent = card.find('%');
    if (percent == std::string_view::npos) continue;
    const auto value = parse_uint(trim(card.substr(0, percent)));
    if (!value || *value > 100) continue;
    sum += static_cast<std::int64_t>(*value);
    ++cards;
  }
  if (cards == 0) return {};
  return static_cast<int>(sum / cards);
}

Trends trends_of(const RunReading& run, std::int64_t box_time) {
  Trends trends;
  const std::vector<Heartbeat>& beats = run.heartbeats;
  if (beats.size() < kLeastBeats) return trends;
  const std::int64_t begin = sane_time(beats.front().time);
  const std::int64_t end = sane_time(beats.back().time);
  trends.span_seconds = end - begin;
  const bool fresh =
      std::abs(sane_time(box_time) - end) <= std::max<std::int64_t>(trends.span_seconds, 600);
  if (trends.span_seconds < kLeastSpan || !fresh) return trends;
  std::vector<Sample> disk, inodes, memory;
  std::int64_t gpu_sum = 0, gpu_beats = 0;
  for (const Heartbeat& beat : beats) {
    const auto time = static_cast<double>(sane_time(beat.time) - begin);
    disk.push_back({time, static_cast<double>(beat.disk_free_bytes)});
    inodes.push_back({time, static_cast<double>(beat.inodes_free)});
    if (beat.memory_bytes > 0) memory.push_back({time, static_cast<double>(beat.memory_bytes)});
    if (const auto percent = mean_utilisation(beat.gpu)) {
      gpu_sum += *percent;
      ++gpu_beats;
    }
  }
  if (run.disk_total_bytes > 0)
    trends.disk = trend(disk, -1, static_cast<double>(run.disk_free_bytes));
  if (run.inodes_total > 0) trends.inodes = trend(inodes, -1, static_cast<double>(run.inodes_free));
  const Heartbeat& last = beats.back();
  const double room = last.memory_limit > last.memory_bytes
                          ? static_cast<double>(last.memory_limit - last.memory_bytes)
                          : 0;
  trends.memory = trend(memory, +1, room);
  if (gpu_beats > 0) trends.gpu_percent = static_cast<int>(gpu_sum / gpu_beats);
  return trends;
}

}  // namespace rgt
