// SPDX-License-Identifier: MIT
// `rgt check`, `rgt verify --bundle` and `rgt triage`: the readers and the triage table by hand,
// with no ledger and no box.
#pragma once

#include "server/options.h"

namespace rgt {

int check_files(
    const Options& options);  // 0 only if every file is proven, and there is at least one
int check_bundle_folder(
    const Options& options);  // 0 only if all that the folder's list names is here and loads
int triage_file(const Options& options);  // 0 nothing failed, 1 something did

}  // namespace rgt
