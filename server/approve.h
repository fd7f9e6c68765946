// SPDX-License-Identifier: MIT
// The human's channel that a model does not hold: an interactive terminal. The answer is read from
// the terminal itself, never from an argument, a variable or a pipe.
#pragma once

#include <string>

#include "tools/environment.h"

namespace rgt {

int approve_on_terminal(Environment& environment, const std::string& request);
int abandon_run_on_terminal(Environment& environment, const std::string& run);

}  // namespace rgt
