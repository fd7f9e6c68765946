// SPDX-License-Identifier: MIT
// The deadlines that a platform sets, as far as they can be counted from here: what is running out
// on a box, in words for a person.
#pragma once

#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/profile/profile.h"

namespace rgt {

struct BoxTimes {
  Time first_met = {};
  Time last_seen = {};
  bool answers = true;  // now
};

// One sentence per clock that may be running and has used up three quarters of its time or more;
// for a box that does not answer every `off` clock, for whoever reads it may be the first to know.
std::vector<std::string> clocks_running_out(const Profile& profile, const BoxTimes& box, Time now);

}  // namespace rgt
