// SPDX-License-Identifier: MIT
// Any bytes as a log ending: the diagnosis stays bounded and clean. The first bytes choose the
// facts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/result.h"
#include "core/base/text.h"
#include "core/triage/labelled.h"
#include "core/triage/line_pattern.h"
#include "core/triage/pace.h"
#include "core/triage/progress.h"
#include "core/triage/triage.h"

namespace {

void check_line(const std::string& line) {
  rgt::require(line.size() <= 240, "a quoted line is too long");
  rgt::require(rgt::is_valid_utf8(line), "a quoted line is not UTF-8");
  for (const char c : line) {
    rgt::require(static_cast<unsigned char>(c) >= 0x20, "a quoted line has a control character");
  }
}

// Whatever a log says, its numbers are sane ones, and the pace made of them can be read back.
void check_numbers(std::string_view log) {
  const rgt::Progress progress = rgt::read_progress(log);
  if (progress.step) rgt::require(*progress.step >= 0, "a negative step");
  if (progress.step && progress.steps)
    rgt::require(*progress.steps >= *progress.step, "a total below its step");
  rgt::Pace pace;
  for (std::size_t i = 0; i < 40 && i < log.size(); ++i) {
    rgt::Mark mark{"step", static_cast<double>(static_cast<unsigned char>(log[i])), 255.0};
    pace.add(mark, static_cast<std::int64_t>(i) * 30);
    (void)pace.left(mark);
  }
  const rgt::Pace back = rgt::Pace::parse(pace.text());
  rgt::require(back.points().size() == pace.points().size(), "a pace does not survive its text");
}

// The same bytes as a pattern, as a ledger's cache and as a file of labelled endings.
void check_readers(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, 200);
  if (const auto pattern = rgt::ProgressPattern::parse(head)) (void)pattern->match("step 1 of 2");
  if (const auto pattern = rgt::LinePattern::parse(head)) (void)pattern->last_match("step 1\nx");
  (void)rgt::Pace::parse(bytes);
  if (const auto endings = rgt::parse_labelled(bytes)) {
    rgt::require(!endings->empty(), "no ending is an error");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  rgt::FailureEvidence evidence;
  if ((data[0] & 1) != 0) evidence.exit_code = data[1];
  if ((data[0] & 2) != 0) evidence.signal = data[2] % 65;
  evidence.oom_kill_counted = (data[0] & 4) != 0;
  evidence.oom_counter_watched = (data[0] & 8) != 0;
  if ((data[0] & 16) != 0) evidence.disk_free_bytes = std::uint64_t{data[3]} << 24;
  if ((data[0] & 32) != 0) evidence.inodes_free = data[3];
  evidence.log_tail = {reinterpret_cast<const char*>(data) + 4, size - 4};

  const rgt::Diagnosis diagnosis = rgt::triage(evidence);
  rgt::require(diagnosis.candidates.size() <= 5, "too many candidates");
  rgt::require(diagnosis.tail.size() <= 15, "too long a tail");
  for (const std::string& line : diagnosis.tail) check_line(line);
  for (const rgt::Candidate& candidate : diagnosis.candidates) {
    rgt::require(candidate.evidence.size() <= 3, "too much evidence");
    for (const std::string& line : candidate.evidence) check_line(line);
  }
  rgt::require(rgt::last_progress(evidence.log_tail).size() <= 160, "too long a progress line");
  check_numbers(evidence.log_tail);
  check_readers(evidence.log_tail);
  return 0;
}
