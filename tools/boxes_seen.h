// SPDX-License-Identifier: MIT
// What the ledger knows about boxes, for the tools that meet one.
#pragma once

#include <string>

#include "tools/environment.h"

namespace rgt {

// The profile the box was last seen with; else `local` for this machine and `generic-ssh` for
// others.
std::string default_profile(Environment& environment, const std::string& box);

// Best effort: a ledger that cannot be written must not silence what was measured.
void remember_box(Environment& environment, const std::string& box, const std::string& profile,
                  const std::string& machine_id, const std::string& host_key, Time now);

}  // namespace rgt
