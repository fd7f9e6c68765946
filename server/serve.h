// SPDX-License-Identifier: MIT
// `rgt serve`: the tools, the handbook and the runs over MCP on standard input and output.
#pragma once

#include "tools/environment.h"

namespace rgt {

int serve(Environment& environment);  // until stdin closes or a signal comes; 0

}  // namespace rgt
