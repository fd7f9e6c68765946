// SPDX-License-Identifier: MIT
#include "core/triage/decision_table.h"

#include <algorithm>
#include <iterator>

#include "core/base/clock.h"

namespace rgt {
namespace {

using enum Verdict;
using enum Remediation;
using F = const CellFacts&;

// 120 s: imports, a data set scan and the first compile take so long; silence then means nothing.
constexpr std::int64_t kYoung = 120;
// Half the expected time: early stopping and a faster card explain less than that.
constexpr double kFastShare = 0.5;

bool too_fast(F f) {
  return f.expected > 0 && f.took >= 0 &&
         static_cast<double>(f.took) < kFastShare * static_cast<double>(f.expected);
}
bool silent_too_long(F f) { return f.stall_after > 0 && f.quiet_for >= f.stall_after; }
bool young(F f) { return f.age >= 0 && f.age < kYoung && (!f.seen_before || !f.moved); }
bool not_started(F f) { return f.reading.attempt == 0 && !f.running(); }
bool records_failure(F f) { return f.reading.exit_code > 0 || f.reading.signal != 0; }
bool supervised(F f) { return f.supervisor == Life::running; }
bool orphaned(F f) { return f.supervisor == Life::ended; }

// ---- what each row says

std::string time(std::int64_t seconds) { return to_words(Seconds(seconds)); }
std::string count(std::size_t number) { return std::to_string(number); }

std::string ending(F f) {
  if (f.reading.signal != 0) return "signal " + std::to_string(f.reading.signal);
  return "exit code " + std::to_string(f.reading.exit_code);
}
std::string after_time(F f) { return f.took >= 0 ? " after " + time(f.took) : std::string(); }

std::string folder_gone(F) {
  return "the run folder is gone from the box: another machine, or a wiped disk";
}
std::string no_folder(F) { return "there is no run folder on the box"; }
std::string not_read(F) { return "the reading says nothing about this cell"; }
std::string done_but_alive(F f) {
  return "marker says DONE but process " + std::to_string(f.reading.process.pid) + " is alive";
}
std::string done_but_missing(F f) {
  const std::size_t missing = f.reading.artifacts_expected - f.reading.artifacts_present;
  return "marker says DONE but " + count(missing) + " of " + count(f.reading.artifacts_expected) +
         (missing == 1 ? " artifacts is missing" : " artifacts are missing");
}
std::string done_but_failing(F f) { return "marker says DONE but records " + ending(f); }
std::string done_too_fast(F f) {
  return "done after " + time(f.took) + ", less than half of the expected " + time(f.expected);
}
std::string all_there(F f) {
  return "done" + after_time(f) + ", " + count(f.reading.artifacts_present) + " of " +
         count(f.reading.artifacts_expected) + " artifacts present";
}
std::string failed_with(F f) {
  return "failed with " + ending(f) + after_time(f) +
         (f.running() ? "; yet its process is alive" : "");
}
std::string waits(F) { return "waits for its turn; the supervisor is alive"; }
std::string never_started(F f) {
  return f.older_boot ? "never started: the box rebooted and took the supervisor with it"
                      : "never started, and the supervisor is gone";
}
std::string life_unseen(F) { return "could not see whether its process lives"; }
std::string rebooted(F) { return "the box rebooted under it: no process, no marker"; }
std::string all_gone(F) { return "process and supervisor are gone and left no marker"; }
std::string marker_due(F) {
  return "its process has ended and the supervisor has not written the marker yet; look again";
}
std::string supervisor_unseen(F) {
  return "its process has ended without a marker, and the supervisor could not be seen";
}
std::string nothing_moves(F f) {
  return "running, but no log byte and no new file for " + time(f.quiet_for) + " (stall after " +
         time(f.stall_after) + ")" + (f.pressure.empty() ? "" : "; " + f.pressure);
}
std::string out_of_room(F f) { return "running, but runs out of room: " + f.pressure; }
std::string just_started(F f) { return "started " + time(f.age) + " ago"; }
std::string log_buffered(F) {
  return "files are being written while the log stands still: its output is buffered";
}
std::string writes(F f) { return "running, last write " + time(f.quiet_for) + " ago"; }
std::string quiet(F f) {
  return "running, quiet for " + time(f.quiet_for) +
         (f.stall_after > 0 ? " of " + time(f.stall_after) + " allowed" : "");
}

// ---- THE TABLE

constexpr bool kAutopsy = true;

// A row is two lines: what must hold, and what follows from it.
// clang-format off
const Rule kRules[] = {
    // The folder, and whether the reading speaks of the cell at all.
    {[](F f) { return !f.folder && f.seen_before; },
     lost, folder_gone, check_console, {"U3"}},
    {[](F f) { return !f.folder; },
     unknown, no_folder, check_console},
    {[](F f) { return !f.known; },
     unknown, not_read},

    // A marker. Where it disagrees with something harder, nobody is believed.
    {[](F f) { return f.done() && f.running(); },
     unknown, done_but_alive, investigate_code},
    {[](F f) { return f.done() && f.artifacts_missing(); },
     unknown, done_but_missing, investigate_code, {"U33"}},
    {[](F f) { return f.done() && records_failure(f); },
     unknown, done_but_failing, investigate_code},
    {[](F f) { return f.done() && too_fast(f); },
     suspicious_fast_finish, done_too_fast, investigate_code, {"U33"}},
    {[](F f) { return f.done(); },
     done, all_there, pull_and_verify},
    {[](F f) { return f.failed(); },
     crashed, failed_with, investigate_code, {}, kAutopsy},

    // No marker, not started.
    {[](F f) { return not_started(f) && supervised(f); },
     queued, waits},
    {[](F f) { return not_started(f) && orphaned(f); },
     lost, never_started, resume_from_latest, {"U3"}},

    // No marker, and the process could not be seen: never healthy.
    {[](F f) { return f.life == Life::unknown; },
     unknown, life_unseen},

    // No marker, process gone.
    {[](F f) { return f.gone() && f.older_boot; },
     lost, rebooted, resume_from_latest, {"U3", "C3"}, kAutopsy},
    {[](F f) { return f.gone() && orphaned(f); },
     lost, all_gone, resume_from_latest, {"U3", "C3"}, kAutopsy},
    {[](F f) { return f.gone() && supervised(f); },
     unknown, marker_due},
    {[](F f) { return f.gone(); },
     unknown, supervisor_unseen},

    // No marker, running.
    {[](F f) { return silent_too_long(f); },
     stalled, nothing_moves, investigate_code, {"D20", "U38"}},
    {[](F f) { return !f.pressure.empty(); },
     resource_pressure, out_of_room},
    {[](F f) { return young(f); },
     starting, just_started},
    {[](F f) { return f.seen_before && f.moved && !f.log_moved; },
     healthy, log_buffered, Remediation::none, {"U43"}},
    {[](F f) { return f.moved; },
     healthy, writes},
    {[](F) { return true; },
     healthy, quiet},
};
// clang-format on

}  // namespace

const Rule& decide(const CellFacts& facts) {
  return *std::find_if(std::begin(kRules), std::end(kRules),
                       [&](const Rule& rule) { return rule.applies(facts); });
}

}  // namespace rgt
