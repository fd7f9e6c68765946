// SPDX-License-Identifier: MIT
#include "tools/boxes_seen.h"

#include "core/base/log.h"

namespace rgt {

std::string default_profile(Environment& environment, const std::string& box) {
  if (box == kLocalBox) return "local";
  if (environment.ledger != nullptr) {
    const auto seen = environment.ledger->find_box(box);
    if (seen && seen->has_value() && !(*seen)->profile.empty()) return (*seen)->profile;
  }
  return "generic-ssh";
}

void remember_box(Environment& environment, const std::string& box, const std::string& profile,
                  const std::string& machine_id, const std::string& host_key, Time now) {
  if (environment.ledger == nullptr) return;
  const auto saved = environment.ledger->box_seen(box, profile, machine_id, host_key, now);
  if (!saved) log::warn("cannot record box " + box + ": " + saved.error().message);
}

}  // namespace rgt
