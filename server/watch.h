// SPDX-License-Identifier: MIT
// The commands that look again and again: `rgt wait` and `rgt patrol --watch`. Both end by
// themselves.
#pragma once

#include <ostream>
#include <stop_token>

#include "core/base/sleeper.h"
#include "server/options.h"
#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

// Exit codes: 0 what was waited for, 1 the run ended without it or stands still, 2 wrong usage,
// 4 time is up and the box cannot be reached, 5 time is up and the run goes on, 130 stopped.
int wait_command(Environment& environment, const Options& options);

struct Watch {
  Seconds how_long = Seconds(12 * 3600);
  Seconds every = Seconds(15);
  bool on_terminal = false;  // a table that is drawn over; else plain lines, a block a tick
};

// Ticks until every run has ended, the time is up or somebody stops it. Exit code: the last tick's,
// or 5 when time is up while something runs.
int watch_patrol(const Tool& patrol_tick, const Json& arguments, const Clock& clock,
                 Sleeper& sleeper, const Watch& watch, std::ostream& out, std::stop_token stop);

int watch_command(Environment& environment, const Options& options);

}  // namespace rgt
