// SPDX-License-Identifier: MIT
// Verdicts: what one reading of a run, beside the job and the last reading, says about its health.
// A pure function of its arguments; the table is decision_table.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/box/job.h"
#include "core/box/look.h"
#include "core/triage/notes.h"
#include "core/triage/pace.h"
#include "core/triage/progress.h"
#include "core/triage/trends.h"
#include "core/triage/triage.h"

namespace rgt {

enum class Verdict {
  healthy,
  starting,
  queued,
  done,
  crashed,
  stalled,
  lost,
  preempted,
  unreachable,
  resource_pressure,
  suspicious_fast_finish,
  unknown,
};
std::string_view verdict_name(Verdict verdict);

// What an earlier look left behind, kept by the ledger per cell.
struct CellMemory {
  std::string cell = {};
  LogPosition position = {};
  std::int64_t last_change = 0;    // box time when log, artifacts or newest_write last moved
  std::string last_progress = {};  // the last progress line seen, cleaned
  std::string tail = {};           // the last few KiB of log, raw: triage sees across look borders
  Pace pace = {};                  // how far it was at earlier looks
  Verdict verdict = Verdict::unknown;
};

struct CellAssessment {
  std::string cell = {};
  Verdict verdict = Verdict::unknown;
  std::string why = {};       // one sentence with the measured values
  std::string progress = {};  // "epoch 3 step 120 loss 0.41" or the last line; cleaned
  Progress numbers = {};      // of the log's ending
  std::optional<std::int64_t> left_seconds = {};  // until it is through, while it runs
  std::vector<Note> notes = {};
  std::string log_head = {};  // of a cell that is looked at for the first time, in depth; untrusted
  FailureClass failure = FailureClass::none;
  Remediation remediation = Remediation::none;
  std::optional<Diagnosis> diagnosis = {};  // for crashed, lost, preempted
  std::vector<std::string> references = {};
  CellMemory memory = {};  // to keep for the next look
};

struct RunAssessment {
  std::string run = {};
  Verdict verdict = Verdict::unknown;  // the worst of the cells, or done when all are
  std::string summary = {};  // one line: "3 cells: 1 done, 1 healthy, 1 crashed (cuda_oom)"
  bool ended = false;        // every cell has a marker, or is lost with nothing alive
  Remediation remediation = Remediation::none;
  std::vector<CellAssessment> cells = {};
  Trends trends = {};
  std::vector<Note> notes = {};  // of the run; those of the cells stand there
};

// `pattern`: how this log shows its progress, where the common shapes do not fit.
RunAssessment assess(const JobSpec& job, const RunReading& reading, std::int64_t box_time,
                     const std::vector<CellMemory>& memory,
                     const ProgressPattern* pattern = nullptr);

}  // namespace rgt
