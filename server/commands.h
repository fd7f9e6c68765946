// SPDX-License-Identifier: MIT
// Every command of the program: options in, exit code out. The tools are the very objects that the
// server serves.
#pragma once

#include "server/options.h"

namespace rgt {

// Exit codes: 0 fine, 1 needs attention, 2 wrong usage, 3 refused by the gate, 4 box unreachable.
int run_command(const Options& options);

}  // namespace rgt
