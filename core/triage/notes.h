// SPDX-License-Identifier: MIT
// Notes: what a person would remark beside a verdict. They tell apart what looks alike (an idle GPU
// and a stall, a busy host and a busy cell) and say what will run out. They never change a verdict.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/box/look.h"
#include "core/triage/pace.h"
#include "core/triage/trends.h"

namespace rgt {

struct CellFacts;  // cell_facts.h

struct Note {
  std::string id = {};    // "gpu_idle_steps_advance", ... for programs
  std::string text = {};  // one sentence with the measured values
  std::vector<std::string> references = {};
  bool act = false;  // something will run out before the run is through
};

// A running cell. `before` and `now` are its pace at the last look and at this one.
std::vector<Note> notes_on_cell(const CellFacts& facts, const RunReading& run, const Pace& before,
                                const Pace& now);

// A live run. `left`: seconds until its slowest cell is through, where that is known.
std::vector<Note> notes_on_run(const Trends& trends, std::optional<std::int64_t> left);

// Mean utilisation over the rounds and cards of a sample; nothing where there is no number.
std::optional<int> sampled_utilisation(const HostSample& sample);

}  // namespace rgt
