// SPDX-License-Identifier: MIT
#include "core/base/clock.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace rgt {

std::string to_iso8601(Time time) {
  const std::time_t seconds = static_cast<std::time_t>(to_unix(time));
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "1970-01-01T00:00:00Z";
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::string to_words(Seconds duration) {
  struct Unit {
    std::int64_t seconds;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits{{{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}}};
  std::int64_t left = duration.count() < 0 ? 0 : duration.count();
  std::string words;
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    const std::int64_t count = left / kUnits[i].seconds;
    if (count == 0) continue;
    words = std::to_string(count) + " " + kUnits[i].name;
    left -= count * kUnits[i].seconds;
    if (i + 1 < kUnits.size() && left / kUnits[i + 1].seconds > 0) {
      words += " " + std::to_string(left / kUnits[i + 1].seconds) + " " + kUnits[i + 1].name;
    }
    return words;
  }
  return "0 s";
}

}  // namespace rgt
