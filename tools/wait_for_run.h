// SPDX-License-Identifier: MIT
// Waiting for one run: bounded, in short looks, so that a shell in the background ends with an
// answer and is never left behind. The command line's `rgt wait`; no tool, because a client's call
// must not last for hours.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "core/base/sleeper.h"
#include "tools/environment.h"
#include "tools/report.h"

namespace rgt {

struct WaitRequest {
  std::string run = {};
  // "ended": nothing of it runs any more, however it ended. "done": every cell finished with all
  // its artifacts. Anything else is a marker: RE2 for a line of any cell's log, also one that is
  // among the last 16 KiB already.
  std::string until = "ended";
  Seconds timeout = Seconds(3600);
  Seconds every = Seconds(30);  // between looks, once it has waited a while; the first come faster
};

enum class WaitEnd {
  met,          // what was waited for
  ended,        // the run ended without it
  stalled,      // it stands still: waiting longer is no use
  time_up,      // still running
  unreachable,  // time is up, and the last look did not reach the box
  stopped,      // by a signal
};
std::string_view wait_end_name(WaitEnd end);

struct WaitResult {
  WaitEnd end = WaitEnd::time_up;
  std::string verdict = {};  // of the last look that reached the box
  std::string summary = {};
  std::string matched = {};  // the marker's line, cleaned
  Seconds waited = Seconds(0);
  int looks = 0;
  NextStep next = {};
};

// `tell` hears one line a look. Errors: an unknown run, one whose launch was never confirmed, or a
// marker that is no pattern.
Result<WaitResult> wait_for_run(Environment& environment, const WaitRequest& request,
                                Sleeper& sleeper, std::stop_token stop,
                                const std::function<void(const std::string&)>& tell);

// "90", "90s", "30m", "2h", "1d"; at least one second, at most 30 days.
Result<Seconds> parse_duration(const std::string& text);

}  // namespace rgt
