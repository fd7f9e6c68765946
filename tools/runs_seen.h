// SPDX-License-Identifier: MIT
// Looking at runs: one look per box, assessed against what the ledger remembers, and written down.
// Shared by probe, patrol_tick, verify_artifacts and teardown_request.
#pragma once

#include <string>
#include <vector>

#include "core/box/look.h"
#include "core/triage/verdict.h"
#include "tools/environment.h"
#include "tools/report.h"

namespace rgt {

// not_found with the nearest known names.
Error unknown_run(const Environment& environment, const std::string& run);
Result<RunRecord> find_run(const Environment& environment, const std::string& run);

struct RunLook {
  RunRecord record = {};  // as it was before this look
  JobSpec job = {};
  RunReading reading = {};
  RunAssessment assessment = {};
  bool changed = false;  // verdict or summary differ from the last look
  bool recorded = true;  // false: the ledger could not be written; the news is still true
};

struct BoxLook {
  std::string box = {};
  Result<Reading> reading = Error{};  // an Error when the box could not be looked at
  std::string host_key = {};
  bool identity_changed = false;   // not the machine that the runs were started on
  std::vector<RunLook> runs = {};  // in the order asked for; empty when reading is an Error
};

// How a look is made; the default is that of a tick.
struct LookManner {
  bool in_depth = false;                     // samples over a moment, and the log's head
  const ProgressPattern* pattern = nullptr;  // how the logs show their progress
};

// One script call for all `records` (all on one box). Never throws.
BoxLook look_at_box(Environment& environment, const std::string& box,
                    const std::vector<RunRecord>& records, const Call& call,
                    LookManner manner = {});

// Writing the structured form.
Json cell_to_json(const CellAssessment& cell, bool with_tail);
Json notes_to_json(const std::vector<Note>& notes);
Json trends_to_json(const Trends& trends);
Json cost_to_json(const Reading& reading);

// "step 120/1000, 2.9 it/s, about 5 min left"; empty where nothing is known.
std::string pace_words(const CellAssessment& cell);

// The fixed answer to a run's verdict as a next step.
NextStep step_for(const RunLook& look);

// A run whose launch was written down but never answered by the box, and the safe way to settle it.
inline constexpr std::string_view kUnconfirmed =
    "its launch was never confirmed by the box: it may have started or not";
NextStep confirm_launch(const RunRecord& record);

// Where a cell writes on the box.
std::string write_path_of(const CellSpec& cell, const std::string& run_folder);

}  // namespace rgt
