// SPDX-License-Identifier: MIT
// `rgt doctor`: is this machine ready, and is the ledger whole? Reads only.
#pragma once

#include "server/environment.h"

namespace rgt {

int doctor(World& world, bool json);  // 0 all fine, 1 something needs attention

}  // namespace rgt
