// SPDX-License-Identifier: MIT
// The GPU part of an audit: judges what nvidia-smi, the kernel log and torch said. Pure.
#pragma once

#include "core/box/survey.h"
#include "tools/audit_check.h"

namespace rgt {

// One check per subject over all GPUs, naming those that are not well. `gpu_expected`: the box is
// of a kind that is rented for its GPU.
void check_gpus(const Survey& survey, bool gpu_expected, Checks& checks);

}  // namespace rgt
