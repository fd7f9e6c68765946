// SPDX-License-Identifier: MIT
// `rgt check` and `rgt triage`: the readers and the triage table by hand, with no ledger and no
// box.
#pragma once

#include "server/options.h"

namespace rgt {

int check_files(
    const Options& options);  // 0 only if every file is proven, and there is at least one
int triage_file(const Options& options);  // 0 nothing failed, 1 something did

}  // namespace rgt
