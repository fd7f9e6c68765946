// SPDX-License-Identifier: MIT
// The decision table: which facts about a cell make which verdict. Rows are asked from the top, the
// first that applies decides, and the last always applies. Private to this room.
#pragma once

#include <array>
#include <string>

#include "core/triage/cell_facts.h"
#include "core/triage/verdict.h"

namespace rgt {

struct Rule {
  bool (*applies)(const CellFacts&) = nullptr;
  Verdict verdict = Verdict::unknown;
  std::string (*why)(const CellFacts&) = nullptr;  // one sentence with the measured values
  Remediation remediation = Remediation::none;
  std::array<const char*, 2> references = {nullptr, nullptr};
  bool autopsy = false;  // triage reads the log; a preemption or a time limit makes it `preempted`
};

const Rule& decide(const CellFacts& facts);

}  // namespace rgt
