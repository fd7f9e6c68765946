// SPDX-License-Identifier: MIT
// `rgt eval`: plays cases against a server of our own over stdio and compares what its tools
// answer. The format of a case is in evals/README.md.
#pragma once

#include "server/options.h"

namespace rgt {

int run_eval(const Options& options);  // 0 all pass, 1 a regression, 2 a file of cases that is none

}  // namespace rgt
