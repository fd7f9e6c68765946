// SPDX-License-Identifier: MIT
// What a cell's log said last, against the step that its checkpoints hold. A checkpoint that loads
// and is of hours before the run's end is fine by itself; whoever stops the box should know that
// nothing newer is there.
#pragma once

#include <string>
#include <vector>

#include "core/triage/verdict.h"
#include "tools/pull_run.h"

namespace rgt {

struct ReportedSteps {
  std::string cell = {};
  std::string log = {};         // "step 900" or "epoch 9": by its ending, as the last look saw it
  std::string checkpoint = {};  // the same by the artifacts
  std::string path = {};        // of the artifact that holds the highest
  // The checkpoint is behind the log. Steps are compared where both are known; else epochs, where
  // one apart is the same, since some count from 0.
  bool behind = false;
};

// Those cells of which both sides say something. Only artifacts that are `ok` count.
std::vector<ReportedSteps> compare_steps(const std::vector<CellMemory>& memory,
                                         const std::vector<ArtifactItem>& items);

}  // namespace rgt
