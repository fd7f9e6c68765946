// SPDX-License-Identifier: MIT
// What a cell's log said last, against the step that its checkpoints hold. A checkpoint that loads
// and is of hours before the run's end is fine by itself; whoever stops the box should know that
// nothing newer is there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/triage/progress.h"
#include "core/triage/verdict.h"
#include "tools/pull_run.h"

namespace rgt {

struct HeldProgress {
  std::optional<double> step = {}, epoch = {};
  std::string path = {};  // of the artifact that holds the highest
};

struct ReportedSteps {
  std::string cell = {};
  Progress reported = {};  // by the log's ending, as the last look saw it
  HeldProgress held = {};
  // Held is behind reported. Steps are compared where both are known; else epochs, where one apart
  // is the same, since some count from 0.
  bool behind = false;
};

// Those cells of which both sides say something. Only artifacts that are `ok` count.
std::vector<ReportedSteps> compare_steps(const std::vector<CellMemory>& memory,
                                         const std::vector<ArtifactItem>& items);

}  // namespace rgt
