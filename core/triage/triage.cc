// SPDX-License-Identifier: MIT
#include "core/triage/triage.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/result.h"
#include "core/base/text.h"
#include "core/triage/log_lines.h"
#include "core/triage/signatures.h"

namespace rgt {
namespace {

// Points, on the table's 0-100 scale. What they must bring about:
//   the last traceback's exception, even one known to no rule (36 + 40), beats most plain words
//   before it and a bare signal (46), but not what a kernel or scheduler states; what the run lived
//   past loses to nearly everything after it.
constexpr int kFinalException = 40;
constexpr int kFinalEcho = 15;  // the final exception, where it mostly echoes another failure
constexpr int kChained = 15;    // what the final one was raised from, or its message goes on
constexpr int kEarlierException = -15;  // another traceback before it: it was caught
constexpr int kStated = 30;     // a kernel or scheduler says so: stronger than any exception
constexpr int kSurvived = -35;  // progress came later (or stdout was flushed late: not more)
constexpr int kSurvivedThenKilled = -60;  // no late flush explains it: a signal flushes nothing
constexpr int kWrongEnd = -25;            // killed from outside, yet words of a program that exits
constexpr int kRecencyMost = 10;          // for the last line, fading over kRecencyLines
constexpr int kRecencyLines = 20;         // the usual length of a program's last words
constexpr int kCorroboration = 5;         // a second rule says the same
constexpr int kStatedFrom = 90;           // the table's mark for such rows
constexpr std::size_t kMessageLines = 3;  // messages of several lines name the cause early
constexpr int kLeastScore = 20;           // below: no better than "unknown" with the tail

// Exit code 0 with an exception among the very last lines: a pipe (`... | tee log`) hid the code.
constexpr std::size_t kLastWords = 5;

// 64 MiB: no checkpoint worth saving fits, and filesystems keep a few blocks that cannot be had.
constexpr std::uint64_t kBytesGone = 64ull << 20;
// 1 GiB: with so much left a refused write was not for want of bytes on this filesystem.
constexpr std::uint64_t kBytesPlenty = 1ull << 30;
// 100: one checkpoint directory or loader needs tens of files at once.
constexpr std::uint64_t kInodesGone = 100;

constexpr std::size_t kCandidates = 5;
constexpr std::size_t kEvidenceLines = 3;
constexpr std::size_t kEvidenceBytes = 240;
constexpr std::size_t kTailLines = 15;

// ---- facts of the death

// Shells report a death by signal N as exit code 128+N; 64 is the last signal Linux has.
int signal_of(const FailureEvidence& evidence) {
  if (evidence.signal != 0) return evidence.signal;
  const int code = evidence.exit_code.value_or(0);
  return code > 128 && code <= 128 + 64 ? code - 128 : 0;
}

bool failed(const FailureEvidence& evidence) {
  return evidence.exit_code.value_or(0) != 0 || evidence.signal != 0;
}

bool holds(const Condition& condition, const FailureEvidence& evidence, LogLine::Shape shape) {
  using Fact = Condition::Fact;
  const auto& bytes = evidence.disk_free_bytes;
  const auto& inodes = evidence.inodes_free;
  switch (condition.fact) {
    case Fact::exit_code: return evidence.exit_code == condition.number;
    case Fact::signal: return signal_of(evidence) == condition.number;
    case Fact::any_signal: return signal_of(evidence) != 0;
    case Fact::failed: return failed(evidence);
    case Fact::oom_kill: return evidence.oom_kill_counted;
    case Fact::oom_flat: return evidence.oom_counter_watched && !evidence.oom_kill_counted;
    case Fact::bytes_gone: return bytes && *bytes < kBytesGone;
    case Fact::bytes_plenty: return bytes && *bytes >= kBytesPlenty;
    case Fact::inodes_gone: return inodes && *inodes < kInodesGone;
    case Fact::inodes_unknown: return !inodes;
    case Fact::exception: return shape == LogLine::Shape::exception;
  }
  return false;
}

bool all_hold(const Signature& row, const FailureEvidence& evidence, LogLine::Shape shape) {
  return std::all_of(row.when.begin(), row.when.end(),
                     [&](const Condition& condition) { return holds(condition, evidence, shape); });
}

// ---- what the lines say

struct LineMatches {
  std::vector<const Signature*> rows = {};  // causes, symptoms; the fallback where there is neither
  int mention = 0;                          // what the line loses for not being an error itself
  bool wrapper = false;                     // says only that a child failed
  bool echo = false;  // a symptom row knows it: whatever else it says, another failure came first
};

LineMatches match_line(const LogLine& line, const FailureEvidence& evidence,
                       const SignatureTable& table) {
  LineMatches result;
  if (line.shape == LogLine::Shape::frame) return result;
  const Signature* fallback = nullptr;
  for (const std::size_t index : table.matches(line.text)) {
    const Signature& row = table.rows()[index];
    if (!all_hold(row, evidence, line.shape)) continue;
    switch (row.kind) {
      case RowKind::mention: result.mention = std::max(result.mention, row.score); break;
      case RowKind::wrapper: result.wrapper = true; break;
      case RowKind::fallback: fallback = &row; break;
      case RowKind::symptom: result.echo = true; [[fallthrough]];
      case RowKind::cause: result.rows.push_back(&row); break;
    }
  }
  if (result.rows.empty() && !result.wrapper && fallback != nullptr) result.rows = {fallback};
  return result;
}

// By a person, a scheduler, the kernel; not by the program's own fault.
bool killed_from_outside(int signal) {
  return signal == 1 || signal == 2 || signal == 9 || signal == 15;
}

// Failures that a program notices and answers with an exit code; such words before a SIGKILL were
// about something else.
bool ends_in_exit_code(FailureClass failure) {
  return failure == FailureClass::missing_file || failure == FailureClass::permission ||
         failure == FailureClass::network_transient || failure == FailureClass::auth_failure ||
         failure == FailureClass::download_stalled || failure == FailureClass::code_error;
}

constexpr std::size_t kNoLine = static_cast<std::size_t>(-1);

// The exception that the program ended with: the last one that is neither a wrapper nor the echo of
// another failure; among echoes alone, the last.
std::size_t final_exception(const std::vector<LogLine>& lines,
                            const std::vector<LineMatches>& matches) {
  std::size_t echo = kNoLine;
  for (std::size_t i = lines.size(); i-- > 0;) {
    if (lines[i].shape != LogLine::Shape::exception || matches[i].wrapper) continue;
    if (!matches[i].echo && (echo == kNoLine || !lines[i].survived)) return i;
    if (echo == kNoLine) echo = i;
  }
  return echo;
}

int score_of(const Signature& row, std::size_t at, std::size_t final_at,
             const std::vector<LogLine>& lines, const LineMatches& matches, int signal) {
  const LogLine& line = lines[at];
  int score = row.score;
  if (at == final_at) {
    score += matches.echo ? kFinalEcho : kFinalException;
  } else if (line.shape == LogLine::Shape::exception) {
    const bool chained = final_at != kNoLine && lines[final_at].chain == line.chain;
    score += chained ? kChained : kEarlierException;
  } else {
    const bool message = final_at != kNoLine && at > final_at && at - final_at <= kMessageLines;
    if (message) score += kChained;
    if (row.score >= kStatedFrom) score += kStated;
    if (!line.progress) score -= matches.mention;
    if (killed_from_outside(signal) && ends_in_exit_code(row.failure)) score += kWrongEnd;
  }
  if (line.survived) score += signal != 0 ? kSurvivedThenKilled : kSurvived;
  const int from_end =
      static_cast<int>(std::min<std::size_t>(lines.size() - 1 - at, kRecencyLines));
  return score + kRecencyMost * (kRecencyLines - from_end) / kRecencyLines;
}

// ---- from rules to ranked classes

struct Finding {
  const Signature* row = nullptr;
  int score = 0;
  std::size_t line = kNoLine;  // kNoLine: a fact
};

std::vector<Finding> findings_of(const FailureEvidence& evidence, const std::vector<LogLine>& lines,
                                 const SignatureTable& table) {
  std::vector<LineMatches> matches;
  for (const LogLine& line : lines) matches.push_back(match_line(line, evidence, table));
  const std::size_t final_at = final_exception(lines, matches);
  const int signal = signal_of(evidence);
  std::vector<Finding> findings;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const Signature* row : matches[i].rows) {
      findings.push_back({row, score_of(*row, i, final_at, lines, matches[i], signal), i});
    }
  }
  for (const Signature& row : table.rows()) {
    if (row.pattern.empty() && all_hold(row, evidence, LogLine::Shape::plain)) {
      findings.push_back({&row, row.score, kNoLine});
    }
  }
  // The surest first; among equals a line before a fact, and the later line: it is nearer to the
  // end.
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    if (a.score != b.score) return a.score > b.score;
    if ((a.line == kNoLine) != (b.line == kNoLine)) return b.line == kNoLine;
    return a.line > b.line;
  });
  return findings;
}

void add_evidence(Candidate& candidate, const Finding& finding, const std::vector<LogLine>& lines) {
  if (finding.line == kNoLine || candidate.evidence.size() >= kEvidenceLines) return;
  std::string quote = clean_line(lines[finding.line].text, kEvidenceBytes);
  const auto& known = candidate.evidence;
  if (std::find(known.begin(), known.end(), quote) == known.end()) {
    candidate.evidence.push_back(std::move(quote));
  }
}

// One candidate a class: its surest rule speaks, the others add their lines.
std::vector<Candidate> candidates_of(const std::vector<Finding>& findings,
                                     const std::vector<LogLine>& lines) {
  struct Ranked {
    Candidate candidate = {};
    const Signature* best = nullptr;
    bool corroborated = false;
  };
  std::vector<Ranked> ranked;
  for (const Finding& finding : findings) {
    if (finding.score < kLeastScore) break;
    auto found = std::find_if(ranked.begin(), ranked.end(), [&](const Ranked& entry) {
      return entry.candidate.failure == finding.row->failure;
    });
    if (found == ranked.end()) {
      const Signature& row = *finding.row;
      ranked.push_back(
          {{row.failure, row.remediation, finding.score, row.reason, {}, row.references},
           &row,
           false});
      found = std::prev(ranked.end());
    } else if (finding.row != found->best && !found->corroborated) {
      found->corroborated = true;
      found->candidate.score += kCorroboration;
    }
    add_evidence(found->candidate, finding, lines);
  }
  std::vector<Candidate> candidates;
  for (Ranked& entry : ranked) candidates.push_back(std::move(entry.candidate));
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  if (candidates.size() > kCandidates) candidates.resize(kCandidates);
  return candidates;
}

std::vector<std::string> tail_of(const std::vector<LogLine>& lines) {
  std::vector<std::string> tail;
  const std::size_t from = lines.size() - std::min(lines.size(), kTailLines);
  for (std::size_t i = from; i < lines.size(); ++i) {
    tail.push_back(clean_line(lines[i].text, kEvidenceBytes));
  }
  return tail;
}

// Whether the log's last words are an uncaught exception, whatever the exit code says.
bool ends_in_exception(const std::vector<LogLine>& lines) {
  const std::size_t from = lines.size() - std::min(lines.size(), kLastWords);
  return std::any_of(lines.begin() + static_cast<std::ptrdiff_t>(from), lines.end(),
                     [](const LogLine& line) {
                       return line.shape == LogLine::Shape::exception && !line.survived;
                     });
}

constexpr std::array kFailureNames = {
    std::string_view("none"),
    std::string_view("disk_full_bytes"),
    std::string_view("disk_full_inodes"),
    std::string_view("quota_exceeded"),
    std::string_view("host_oom"),
    std::string_view("cuda_oom"),
    std::string_view("shm_exhausted"),
    std::string_view("nccl_failure"),
    std::string_view("gpu_fault"),
    std::string_view("driver_mismatch"),
    std::string_view("nan_divergence"),
    std::string_view("dataloader_worker_died"),
    std::string_view("code_error"),
    std::string_view("missing_file"),
    std::string_view("permission"),
    std::string_view("line_endings"),
    std::string_view("network_transient"),
    std::string_view("auth_failure"),
    std::string_view("download_stalled"),
    std::string_view("preemption"),
    std::string_view("walltime"),
    std::string_view("killed_unknown"),
    std::string_view("unknown"),
};
static_assert(kFailureNames.size() == static_cast<std::size_t>(FailureClass::unknown) + 1);

}  // namespace

std::string_view failure_class_name(FailureClass failure) {
  return kFailureNames.at(static_cast<std::size_t>(failure));
}

std::optional<FailureClass> parse_failure_class(std::string_view name) {
  const auto found = std::find(kFailureNames.begin(), kFailureNames.end(), name);
  if (found == kFailureNames.end()) return {};
  return static_cast<FailureClass>(found - kFailureNames.begin());
}

std::string_view remediation_name(Remediation remediation) {
  switch (remediation) {
    case Remediation::none: return "none";
    case Remediation::retry_same_config: return "retry_same_config";
    case Remediation::resume_from_latest: return "resume_from_latest";
    case Remediation::prune_scratch_then_retry: return "prune_scratch_then_retry";
    case Remediation::ask_to_expand_disk: return "ask_to_expand_disk";
    case Remediation::investigate_code: return "investigate_code";
    case Remediation::re_rent_box: return "re_rent_box";
    case Remediation::check_console: return "check_console";
    case Remediation::pull_and_verify: return "pull_and_verify";
    case Remediation::remove_patrol: return "remove_patrol";
  }
  return "none";
}

Diagnosis triage(const FailureEvidence& evidence) {
  const std::vector<LogLine> lines = read_log_lines(evidence.log_tail);
  Diagnosis diagnosis;
  diagnosis.tail = tail_of(lines);
  if (evidence.exit_code == 0 && evidence.signal == 0 && !ends_in_exception(lines)) {
    diagnosis.failure = FailureClass::none;
    diagnosis.remediation = Remediation::none;
    return diagnosis;
  }
  diagnosis.candidates =
      candidates_of(findings_of(evidence, lines, SignatureTable::embedded()), lines);
  if (diagnosis.candidates.empty()) {
    diagnosis.failure = FailureClass::unknown;
    diagnosis.remediation = Remediation::investigate_code;  // never a blind retry
    return diagnosis;
  }
  diagnosis.failure = diagnosis.candidates.front().failure;
  diagnosis.remediation = diagnosis.candidates.front().remediation;
  return diagnosis;
}

}  // namespace rgt
