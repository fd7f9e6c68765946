// SPDX-License-Identifier: MIT
// What one look says about one cell, worked out once, so that the decision table has
// only named facts to ask about. Box time only: the two machines' clocks are never compared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/box/job.h"
#include "core/box/look.h"
#include "core/triage/triage.h"
#include "core/triage/verdict.h"

namespace rgt {

struct CellFacts {
  // --- as read
  bool folder = false;       // the run's folder exists
  bool known = false;        // the reading speaks of this cell
  bool seen_before = false;  // an earlier look saw its log or its writes
  CellReading reading = {};
  Life supervisor = Life::unknown;
  bool older_boot = false;  // the supervisor belonged to an earlier boot: nothing of it can live

  // --- worked out
  Life life = Life::unknown;  // of the process; an older boot proves the end
  std::int64_t age = -1;      // seconds since its start; -1 unknown
  std::int64_t took = -1;     // seconds from start to end; -1 unknown
  std::int64_t expected = 0;
  std::int64_t quiet_for = 0;  // seconds since anything last moved
  std::int64_t stall_after = 0;
  std::int64_t last_change = 0;
  bool moved = false;  // log or files moved since the last look
  bool log_moved = false;
  std::int64_t heartbeat_age = -1;  // seconds; -1: no heartbeat
  bool heartbeat_stale = false;
  std::string pressure = {};  // what is running out, with measure and limit; empty: nothing
  Remediation pressure_remedy = Remediation::none;

  bool done() const { return reading.marker == CellReading::Marker::done; }
  bool failed() const { return reading.marker == CellReading::Marker::failed; }
  bool unmarked() const { return reading.marker == CellReading::Marker::none; }
  bool running() const { return life == Life::running; }
  bool gone() const { return life == Life::ended; }
  bool artifacts_missing() const { return reading.artifacts_present < reading.artifacts_expected; }
};

CellFacts measure_cell(const JobSpec& job, const RunReading& run, std::string_view cell,
                       std::int64_t box_time, const CellMemory* memory);

// The cell's last words: what earlier looks kept, joined with the new bytes, at most 16 KiB.
std::string join_tail(const CellReading& reading, const CellMemory* memory);

// What the kernel said around the death about a GPU or about memory, as lines to put after the
// cell's last words. Empty where it said nothing, or nobody may read it.
std::string kernel_words(const RunReading& run, const CellFacts& facts);

// What triage is told about a dead cell, from the heartbeats around its end.
FailureEvidence evidence_of(const JobSpec& job, const RunReading& run, const CellFacts& facts,
                            std::string_view tail);

}  // namespace rgt
