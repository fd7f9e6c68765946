// SPDX-License-Identifier: MIT
#include "tools/danger_clocks.h"

namespace rgt {
namespace {

// Three quarters used: of a nine-hour session more than two hours are left to pull what is there.
constexpr double kUsed = 0.75;

}  // namespace

std::vector<std::string> clocks_running_out(const Profile& profile, const BoxTimes& box, Time now) {
  std::vector<std::string> words;
  for (const DangerClock& clock : profile.danger_clocks) {
    if (clock.hours == 0) continue;
    const bool off = clock.from == DangerClock::From::off;
    if (off == box.answers) continue;  // a box that answers is not off; one that does not may be
    const Time since = off ? box.last_seen : box.first_met;
    if (to_unix(since) == 0) continue;
    const auto whole = std::chrono::hours(clock.hours);
    const auto left = std::chrono::duration_cast<Seconds>(since + whole - now);
    if (!off && left > std::chrono::duration_cast<Seconds>(whole * (1 - kUsed))) continue;
    const std::string when = left.count() > 0 ? "in " + to_words(left) : "by now";
    words.push_back("danger clock " + clock.id + ": " +
                    (off ? "if the box was switched off at the last contact, " : "") +
                    "it runs out " + when + " (" + clock.what + ")");
  }
  return words;
}

}  // namespace rgt
