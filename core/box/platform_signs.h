// SPDX-License-Identifier: MIT
// Which platform a box is on, by its own signs: environment variables of the shell and of process
// 1, files, mounts. A sign can be copied to an unrelated machine (images travel), so several are
// weighed, those that fired are shown, and a guess never chooses a verb. survey.sh holds the list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rgt {

struct PlatformSign {
  std::string platform = {};  // "runpod"
  bool strong = false;        // set by the platform itself; weak: a habit that others may share
  std::string sign = {};      // "env RUNPOD_POD_ID", "/root/autodl-tmp"
};

enum class Sureness { none, probable, confirmed };  // confirmed: two strong signs

struct PlatformGuess {
  std::string platform = {};
  Sureness sureness = Sureness::none;
  std::vector<std::string> signs = {};  // those of this platform, strong ones first
};

// Where two platforms look alike the order decides: rentals before what they are built on (many
// rentals are Kubernetes pods, and anybody may run Slurm). At most 8 signs are kept.
PlatformGuess recognise_platform(const std::vector<PlatformSign>& signs);

// Is this the platform that the profile is written for? One profile may cover several platforms
// ("china"), and a kind of machine that has no signs of its own ("generic-ssh") is never told
// apart.
bool profile_covers(std::string_view profile, std::string_view platform);

}  // namespace rgt
