// SPDX-License-Identifier: MIT
#include "core/triage/verdict.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/triage/box_time.h"
#include "core/triage/cell_facts.h"
#include "core/triage/decision_table.h"
#include "core/triage/progress.h"

namespace rgt {
namespace {

using enum Verdict;
using enum Remediation;

constexpr std::size_t kLineBytes = 160;  // one line of a status

// Asked in this order: what needs a person first stands first. Among the normal states the
// liveliest speaks for the run: a queued cell is no news while another one runs.
constexpr std::array kWorstFirst = {
    crashed,     lost,
    preempted,   stalled,
    unreachable, resource_pressure,
    unknown,     suspicious_fast_finish,
    starting,    healthy,
    queued,      done,
};

// ---- one cell

const CellMemory* remembered(const std::vector<CellMemory>& memory, const std::string& cell) {
  const auto found = std::find_if(memory.rbegin(), memory.rend(),
                                  [&](const CellMemory& kept) { return kept.cell == cell; });
  return found == memory.rend() ? nullptr : &*found;
}

CellMemory remember(const std::string& cell, const CellFacts& facts, const CellMemory* before) {
  CellMemory memory = before == nullptr ? CellMemory{} : *before;
  memory.cell = cell;
  memory.position.cell = cell;
  if (!facts.known) return memory;
  const CellReading& reading = facts.reading;
  memory.tail = join_tail(reading, before);
  memory.last_change = facts.last_change;
  const std::uint64_t end = reading.log_from + reading.log_bytes.size();
  const bool same_log = reading.log_inode == memory.position.inode && !reading.log_rotated;
  if (reading.log_inode != 0) {
    memory.position.offset = same_log ? std::max(memory.position.offset, end) : end;
    memory.position.inode = reading.log_inode;
  }
  if (std::string progress = last_progress(reading.log_bytes); !progress.empty()) {
    memory.last_progress = std::move(progress);
  }
  return memory;
}

std::string last_line(std::string_view tail) {
  const std::string text = clean_text(tail, 4096);
  const std::string_view rest = trim(text);
  return clean_line(rest.substr(rest.rfind('\n') + 1), kLineBytes);  // npos + 1 is 0
}

void add_references(std::vector<std::string>& to, const std::vector<std::string>& from) {
  for (const std::string& entry : from) {
    if (std::find(to.begin(), to.end(), entry) == to.end()) to.push_back(entry);
  }
}

// A whole tree of processes does not vanish for a bug in one program; only what a host or scheduler
// says in the log explains it better.
bool explains_a_loss(FailureClass failure) {
  return failure == FailureClass::host_oom || failure == FailureClass::preemption ||
         failure == FailureClass::walltime || failure == FailureClass::gpu_fault ||
         failure == FailureClass::killed_unknown;
}

void perform_autopsy(const JobSpec& job, const RunReading& run, const CellFacts& facts,
                     CellAssessment& cell) {
  const std::string last_words = cell.memory.tail + kernel_words(run, facts);
  Diagnosis diagnosis = triage(evidence_of(job, run, facts, last_words));
  if (diagnosis.failure == FailureClass::none) diagnosis.failure = FailureClass::unknown;
  const bool explained = cell.verdict != lost || explains_a_loss(diagnosis.failure);
  cell.failure = explained ? diagnosis.failure : FailureClass::killed_unknown;
  if (cell.verdict != lost) cell.remediation = diagnosis.remediation;
  if (cell.remediation == Remediation::none) cell.remediation = investigate_code;
  if (cell.failure == FailureClass::preemption || cell.failure == FailureClass::walltime) {
    cell.verdict = preempted;
    cell.remediation = resume_from_latest;
  }
  if (explained && !diagnosis.candidates.empty()) {
    cell.why += ": " + diagnosis.candidates.front().reason;
    add_references(cell.references, diagnosis.candidates.front().references);
  }
  cell.diagnosis = std::move(diagnosis);
}

void add_notes(const CellFacts& facts, CellAssessment& cell) {
  if (!facts.known || !facts.running() || !facts.unmarked()) return;
  if (facts.supervisor == Life::ended) {
    cell.why += "; its supervisor is gone, so no marker will come";
    add_references(cell.references, {"U3"});
  } else if (facts.heartbeat_stale) {
    cell.why += "; the last heartbeat is " + to_words(Seconds(facts.heartbeat_age)) + " old";
  }
  if (cell.verdict == resource_pressure) {
    cell.remediation = facts.pressure_remedy;
    add_references(cell.references, facts.pressure_remedy == investigate_code
                                        ? std::vector<std::string>{"U9", "U41"}
                                        : std::vector<std::string>{"U6", "U7"});
  }
}

// How far it is, how fast it gets on and when it will be through.
void measure_progress(const RunReading& run, const CellFacts& facts, const CellMemory* before,
                      std::int64_t box_time, const ProgressPattern* pattern, CellAssessment& cell) {
  cell.numbers = read_progress(cell.memory.tail, pattern);
  const auto mark = mark_of(cell.numbers);
  if (mark && facts.moved) cell.memory.pace.add(*mark, box_time);
  if (!facts.running() || !facts.unmarked()) return;
  if (mark) cell.left_seconds = cell.memory.pace.left(*mark);
  // A bar's own estimate is of its epoch where there are epochs.
  if (!cell.left_seconds && !cell.numbers.epoch) cell.left_seconds = cell.numbers.left_seconds;
  if (!cell.left_seconds && facts.expected > 0 && facts.age >= 0 && facts.age < facts.expected)
    cell.left_seconds = facts.expected - facts.age;
  cell.notes =
      notes_on_cell(facts, run, before == nullptr ? Pace() : before->pace, cell.memory.pace);
  for (const Note& note : cell.notes) add_references(cell.references, note.references);
}

CellAssessment assess_cell(const JobSpec& job, const RunReading& run, const std::string& name,
                           std::int64_t box_time, const CellMemory* memory,
                           const ProgressPattern* pattern) {
  const CellFacts facts = measure_cell(job, run, name, box_time, memory);
  const Rule& rule = decide(facts);
  CellAssessment cell;
  cell.cell = name;
  cell.verdict = rule.verdict;
  cell.why = rule.why(facts);
  cell.remediation = rule.remediation;
  for (const char* entry : rule.references) {
    if (entry != nullptr) cell.references.emplace_back(entry);
  }
  cell.memory = remember(name, facts, memory);
  if (rule.autopsy) perform_autopsy(job, run, facts, cell);
  add_notes(facts, cell);
  measure_progress(run, facts, memory, box_time, pattern, cell);
  if (!facts.seen_before) cell.log_head = facts.reading.log_head;
  cell.progress = cell.memory.last_progress;
  if (cell.progress.empty()) cell.progress = last_line(cell.memory.tail);
  cell.memory.verdict = cell.verdict;
  return cell;
}

// ---- the run

// "3 cells: 1 done, 1 healthy, 1 crashed (cuda_oom)": the calm first, the news last.
std::string summarize(const std::vector<CellAssessment>& cells) {
  if (cells.empty()) return "0 cells: the job names none";
  std::map<Verdict, std::pair<std::size_t, std::set<std::string>>> counts;
  for (const CellAssessment& cell : cells) {
    auto& [count, classes] = counts[cell.verdict];
    ++count;
    if (cell.failure != FailureClass::none) classes.emplace(failure_class_name(cell.failure));
  }
  std::vector<std::string> parts;
  for (auto verdict = kWorstFirst.rbegin(); verdict != kWorstFirst.rend(); ++verdict) {
    const auto found = counts.find(*verdict);
    if (found == counts.end()) continue;
    const auto& [count, classes] = found->second;
    std::string part = std::to_string(count) + " " + std::string(verdict_name(*verdict));
    if (!classes.empty()) part += " (" + join({classes.begin(), classes.end()}, ", ") + ")";
    parts.push_back(std::move(part));
  }
  return std::to_string(cells.size()) + (cells.size() == 1 ? " cell: " : " cells: ") +
         join(parts, ", ");
}

// Ended is what the gate asks for, so doubt means no: every cell has its marker or is lost, no
// process is seen alive, and the supervisor is known to be through.
bool has_ended(const RunReading& run, const std::vector<CellAssessment>& cells) {
  const bool supervisor_through =
      run.supervisor_finished || run.supervisor_from_older_boot || run.supervisor == Life::ended;
  if (!run.folder_exists || !supervisor_through || cells.empty()) return false;
  return std::all_of(cells.begin(), cells.end(), [&](const CellAssessment& cell) {
    const auto reading = std::find_if(run.cells.begin(), run.cells.end(),
                                      [&](const CellReading& r) { return r.cell == cell.cell; });
    if (reading == run.cells.end()) return false;
    if (reading->life == Life::running && !run.supervisor_from_older_boot) return false;
    return reading->marker != CellReading::Marker::none || cell.verdict == lost ||
           cell.verdict == preempted;
  });
}

// What will run out before the slowest cell is through.
void note_trends(const RunReading& reading, std::int64_t box_time, RunAssessment& run) {
  run.trends = trends_of(reading, box_time);
  std::optional<std::int64_t> left;
  for (const CellAssessment& cell : run.cells) {
    if (cell.left_seconds) left = std::max(left.value_or(0), *cell.left_seconds);
  }
  run.notes = notes_on_run(run.trends, left);
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case healthy: return "healthy";
    case starting: return "starting";
    case queued: return "queued";
    case done: return "done";
    case crashed: return "crashed";
    case stalled: return "stalled";
    case lost: return "lost";
    case preempted: return "preempted";
    case unreachable: return "unreachable";
    case resource_pressure: return "resource_pressure";
    case suspicious_fast_finish: return "suspicious_fast_finish";
    case unknown: return "unknown";
  }
  return "unknown";
}

RunAssessment assess(const JobSpec& job, const RunReading& reading, std::int64_t box_clock,
                     const std::vector<CellMemory>& memory, const ProgressPattern* pattern) {
  // Within 34,000 years: sums of box times cannot overflow, whatever the box said.
  const std::int64_t box_time = sane_time(box_clock);
  RunAssessment run;
  run.run = job.run;
  for (const CellSpec& spec : job.cells) {
    run.cells.push_back(
        assess_cell(job, reading, spec.name, box_time, remembered(memory, spec.name), pattern));
  }
  run.summary = summarize(run.cells);
  run.ended = has_ended(reading, run.cells);
  if (!run.ended) note_trends(reading, box_time, run);
  const auto rank = [](const CellAssessment& cell) {
    return std::find(kWorstFirst.begin(), kWorstFirst.end(), cell.verdict) - kWorstFirst.begin();
  };
  const auto worst =
      std::min_element(run.cells.begin(), run.cells.end(),
                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (worst == run.cells.end()) return run;
  run.verdict = worst->verdict;
  run.remediation = worst->remediation;
  // One cell done is no reason to pull while others run: the manifest is taken after the end.
  if (run.remediation == pull_and_verify && !run.ended) run.remediation = Remediation::none;
  return run;
}

}  // namespace rgt
