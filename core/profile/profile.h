// SPDX-License-Identifier: MIT
// Profile: the facts of one platform that the program acts on, from the YAML frontmatter of
// profiles/<name>.md. The prose below the frontmatter belongs to the handbook. Schema:
// profiles/_schema.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace rgt {

enum class Survives { yes, no, billed, unknown };  // billed: yes, and it keeps costing

struct StorageTier {
  std::string name = {};
  std::string path = {};
  Survives stop = Survives::unknown;
  Survives destroy = Survives::unknown;
  std::string note = {};
};

struct DangerClock {
  // What starts it. `off`: the box was switched off, which from here looks like an unreachable one;
  // `session`: the box was first met.
  enum class From { unknown, off, session };
  std::string id = {};
  std::string what = {};  // the deadline in words
  std::string why = {};   // what it costs
  int hours = 0;          // until it runs out; 0: no fixed time is known
  From from = From::unknown;
};

struct MeterStop {
  std::string verb = {};  // what the person does or says: "terminate in the console"
  bool irreversible = true;
  std::string destroys = {};   // what is gone afterwards
  std::string keeps = {};      // what survives
  bool rgt_can_do_it = false;  // a provider driver exists
};

struct Profile {
  std::string name = {};  // file name without .md
  std::string title = {};
  std::string kind = {};  // ssh, ssh-rental, cloud-api, slurm, kubernetes, notebook, workstation
  std::vector<std::string> detach = {};  // in order of preference
  MeterStop meter_stop = {};
  std::vector<StorageTier> storage = {};
  std::vector<DangerClock> danger_clocks = {};
  std::vector<std::string> conveniences = {};
  std::string data_mount = {};  // where to measure space; may be empty: home
  std::string durable_mount = {};
  bool spot_available = false;
  bool china_mirror_needed = false;
  std::uint64_t inode_cap = 0;  // 0: none documented
  std::string verified = {};    // "YYYY-MM"
  std::string source = {};
  std::vector<std::string> entries = {};  // entry ids to cite
};

// Parses and checks one profile file. Errors name the key, the line, what was expected and found;
// unknown keys are errors. Foreign bytes: bounded, no aliases or anchors. Fuzzed.
Result<Profile> parse_profile(std::string_view name, std::string_view markdown);

}  // namespace rgt
