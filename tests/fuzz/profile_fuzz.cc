// SPDX-License-Identifier: MIT
// Any bytes as a profile or a skill: read or refused with a reason, never more than that; what is a
// profile has its required facts, and its frontmatter is a map.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/json.h"
#include "core/profile/frontmatter.h"
#include "core/profile/profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = rgt::frontmatter_json("fuzz", text);
  rgt::require(json.ok() ? json->is_object() : !json.error().message.empty(), "no map, no reason");
  const auto profile = rgt::parse_profile("fuzz", text);
  if (!profile) return 0;
  rgt::require(json.ok(), "a profile whose frontmatter cannot be read");
  rgt::require(!profile->title.empty() && profile->verified.size() == 7, "a fact is missing");
  return 0;
}
