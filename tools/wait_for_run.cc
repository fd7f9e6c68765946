// SPDX-License-Identifier: MIT
#include "tools/wait_for_run.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/triage/line_pattern.h"
#include "tools/runs_seen.h"

namespace rgt {
namespace {

// The first looks come soon: most waits for something short end within them.
constexpr Milliseconds kFirstPause(2000);
// A box that does not answer is asked less often: platforms ban storms of connections.
constexpr Milliseconds kUnreachablePause(60'000);
constexpr std::size_t kMatchBytes = 240;

// What a look means for the wait.
struct Judgement {
  bool over = false;
  WaitEnd end = WaitEnd::time_up;
  std::string matched = {};
};

std::string matching_line(const RunLook& look, const LinePattern& marker) {
  for (const CellAssessment& cell : look.assessment.cells) {
    if (std::string line = marker.last_match(cell.memory.tail); !line.empty())
      return clean_line(line, kMatchBytes);
  }
  for (const CellReading& cell : look.reading.cells) {
    if (std::string line = marker.last_match(cell.log_bytes); !line.empty())
      return clean_line(line, kMatchBytes);
  }
  return {};
}

Judgement judge(const RunLook& look, const std::string& until,
                const std::optional<LinePattern>& marker) {
  const RunAssessment& seen = look.assessment;
  if (marker) {
    std::string line = matching_line(look, *marker);
    if (!line.empty()) return {true, WaitEnd::met, std::move(line)};
  }
  if (seen.ended) {
    const bool met = until == "ended" || (until == "done" && seen.verdict == Verdict::done);
    return {true, met ? WaitEnd::met : WaitEnd::ended, {}};
  }
  if (seen.verdict == Verdict::stalled) return {true, WaitEnd::stalled, {}};
  return {};
}

}  // namespace

std::string_view wait_end_name(WaitEnd end) {
  switch (end) {
    case WaitEnd::met: return "met";
    case WaitEnd::ended: return "ended";
    case WaitEnd::stalled: return "stalled";
    case WaitEnd::time_up: return "time_up";
    case WaitEnd::unreachable: return "unreachable";
    case WaitEnd::stopped: return "stopped";
  }
  return "time_up";
}

Result<Seconds> parse_duration(const std::string& text) {
  const std::size_t digits = text.find_first_not_of("0123456789");
  const auto number = parse_uint(std::string_view(text).substr(0, digits));
  const std::string unit = digits == std::string::npos ? "s" : text.substr(digits);
  const std::uint64_t scale = unit == "s"   ? 1
                              : unit == "m" ? 60
                              : unit == "h" ? 3600
                              : unit == "d" ? 86400
                                            : 0;
  constexpr std::uint64_t kMost = 30 * 86400;
  if (!number || scale == 0 || *number == 0 || *number > kMost || *number * scale > kMost)
    return Error{Code::invalid_argument,
                 "\"" + clean_line(text, 40) + "\" is no time: expected 1 second to 30 days",
                 "write it like 90s, 30m, 2h or 1d"};
  return Seconds(static_cast<std::int64_t>(*number * scale));
}

Result<WaitResult> wait_for_run(Environment& environment, const WaitRequest& request,
                                Sleeper& sleeper, std::stop_token stop,
                                const std::function<void(const std::string&)>& tell) {
  std::optional<LinePattern> marker;
  if (request.until != "ended" && request.until != "done") {
    auto parsed = LinePattern::parse(request.until);
    if (!parsed) return parsed.error();
    marker = std::move(*parsed);
  }
  const Time began = environment.clock.now();
  const Time deadline = began + request.timeout;
  WaitResult result;
  Milliseconds pause = kFirstPause;
  for (bool reached = true;;) {
    auto record = find_run(environment, request.run);
    if (!record) return record.error();
    if (record->folder.empty())
      return Error{Code::conflict, request.run + ": " + std::string(kUnconfirmed),
                   confirm_launch(*record).say};
    const Call call{.now = environment.clock.now(), .stop = stop};
    const BoxLook look = look_at_box(environment, record->box, {*record}, call);
    ++result.looks;
    reached = look.reading.ok();
    if (reached) {
      const RunLook& seen = look.runs.at(0);
      result.verdict = verdict_name(seen.assessment.verdict);
      result.summary = seen.assessment.summary;
      result.next = step_for(seen);
      const Judgement now = judge(seen, request.until, marker);
      result.end = now.end;
      result.matched = now.matched;
      tell(request.run + ": " + result.verdict + ", " + result.summary);
      if (now.over) break;
    } else if (!is_box_trouble(look.reading.error().code)) {
      return look.reading.error();
    } else {
      tell(request.run + ": " + look.reading.error().message);
    }
    const Time now = environment.clock.now();
    result.end = reached ? WaitEnd::time_up : WaitEnd::unreachable;
    if (now >= deadline) break;
    const Milliseconds wanted = reached ? pause : std::max(pause, kUnreachablePause);
    if (!sleeper.sleep(std::min(wanted, deadline - now), stop)) {
      result.end = WaitEnd::stopped;
      break;
    }
    pause =
        std::min<Milliseconds>(pause * 3 / 2, std::max<Milliseconds>(request.every, kFirstPause));
  }
  result.waited = std::chrono::duration_cast<Seconds>(environment.clock.now() - began);
  return result;
}

}  // namespace rgt
