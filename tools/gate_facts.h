// SPDX-License-Identifier: MIT
// Gathers, at this moment, every fact that the gate judges: fresh look, fresh manifests, evidence,
// and the digests of the local files now. What could not be gathered stays unknown and counts
// against.
#pragma once

#include <string>
#include <vector>

#include "core/gate/gate.h"
#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

struct GatheredFacts {
  GateFacts facts = {};
  std::vector<std::string> trouble = {};  // why something stayed unknown, in words
};

Result<GatheredFacts> gather_gate_facts(Environment& environment, const std::string& box,
                                        const Call& call);

}  // namespace rgt
