// SPDX-License-Identifier: MIT
// Time as the program sees it. Read the clock once per call and pass `now` down, so that one
// call cannot disagree with itself and tests need no sleeping.
#pragma once

#include <chrono>
#include <string>

namespace rgt {

using Milliseconds = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;
using Time = std::chrono::sys_time<Milliseconds>;  // UTC wall clock

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

// The machine's clock. Safe from any thread.
class SystemClock final : public Clock {
 public:
  Time now() const override {
    return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now());
  }
};

std::string to_iso8601(Time time);        // "2026-11-24T09:13:05Z", always UTC, whole seconds
std::string to_words(Seconds duration);   // "3 h 12 min", "45 s"; for people, two units at most
inline std::int64_t to_unix(Time time) {  // whole seconds since 1970
  return std::chrono::duration_cast<Seconds>(time.time_since_epoch()).count();
}
inline Time from_unix(std::int64_t seconds) { return Time(Seconds(seconds)); }

}  // namespace rgt
