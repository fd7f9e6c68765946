// SPDX-License-Identifier: MIT
// `rgt doctor`: is this machine ready, and is the ledger whole? Reads only.
#pragma once

#include "server/environment.h"

namespace rgt {

// Facts of the handbook whose stamp is older than so many months, by the environment's clock.
int doctor_facts(const Environment& environment, int max_age_months, bool json);  // 1 if any
int doctor(World& world, bool json);  // 0 all fine, 1 something needs attention

}  // namespace rgt
