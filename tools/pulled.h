// SPDX-License-Identifier: MIT
// How much of a run's manifest lies on this machine already: what a patrol can say about a transfer
// that was cut, without reading the files. Whether they load is verify_artifacts' to say.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "tools/environment.h"

namespace rgt {

struct Pulled {
  std::size_t expected = 0;  // files of the newest manifest
  std::size_t whole = 0;     // here with the manifest's size
  std::size_t short_ = 0;    // here with another size: a transfer that was cut
};

// Nothing where no manifest was taken yet.
std::optional<Pulled> pulled_of(Environment& environment, const std::string& run);

// Every artifact of the newest manifest was loaded here and equals it, and is still here.
bool is_proven(Environment& environment, const RunRecord& record);

}  // namespace rgt
