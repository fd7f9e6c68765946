// SPDX-License-Identifier: MIT
// patrol_tick: every live run on every box, one round trip per box, one line per run even when
// nothing changed. Reports and recommends; never restarts anything. Safe to run twice at once.
#include "tools/patrol_tick.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "core/base/parallel.h"
#include "core/base/text.h"
#include "tools/danger_clocks.h"
#include "tools/pulled.h"
#include "tools/report.h"
#include "tools/runs_seen.h"

namespace rgt {
namespace {

// What the public practice settled on: long enough to cost nothing, short enough to save a night.
constexpr std::int64_t kNextTickSeconds = 1800;
// Something is starting or in trouble: look again soon.
constexpr std::int64_t kSoonTickSeconds = 300;
// A run that is through in ten minutes is looked at then, but nothing is looked at every second.
constexpr std::int64_t kLeastTickSeconds = 60;
constexpr std::int64_t kAfterTheEnd = 30;  // the supervisor writes its marker within seconds
// Threads, each of which only waits for its box: a provider's outage makes all of them silent at
// once.
constexpr std::size_t kBoxesAtOnce = 256;

Card card() {
  return Card{
      "patrol_tick",
      "Patrol all runs",
      "Phase 4, for a /loop or cron tick about every 30 minutes: every live run and every ended "
      "one "
      "not yet proven, one round trip per box, one line per run even when nothing changed: what "
      "changed or will run out, the fixed remediation in `next`, when to come again, when to end. "
      "Never restarts anything. A new session can take over with it.",
      input_schema(
          {{"run", {{"type", "string"}, {"minLength", 1}, {"description", "only this run"}}}}, {}),
      output_schema({{"runs", {{"type", "array"}, {"items", {{"type", "object"}}}}},
                     {"recorded", {{"type", "boolean"}}},
                     {"end_patrol", {{"type", "boolean"}}},
                     {"next_tick_seconds", {{"type", "integer"}}},
                     {"cost", {{"type", "object"}}}},
                    {"runs", "recorded", "end_patrol", "next_tick_seconds"}),
      Annotations{.read_only = false, .destructive = false, .idempotent = true}};
}

using ByBox = std::map<std::string, std::vector<RunRecord>>;

// Boxes are looked at side by side: a silent one delays the answer by its own deadline, not the
// sum, and keeps only its own thread. The looks come in the order of the boxes' names.
std::vector<BoxLook> look_at_all(Environment& environment, const ByBox& boxes, const Call& call) {
  std::vector<const ByBox::value_type*> asked;
  for (const auto& box : boxes) asked.push_back(&box);
  std::vector<BoxLook> looks(asked.size());
  std::atomic<std::size_t> next = 0;
  std::mutex reporting;
  std::size_t answered = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < asked.size(); i = next++) {
      looks[i] = look_at_box(environment, asked[i]->first, asked[i]->second, call);
      const std::scoped_lock lock(reporting);
      ++answered;
      call.report(
          static_cast<double>(answered), static_cast<double>(asked.size()),
          std::to_string(answered) + " of " + std::to_string(asked.size()) + " boxes looked at");
    }
  };
  wait_in_parallel(std::min(asked.size(), kBoxesAtOnce), work);
  return looks;
}

struct Tally {
  std::size_t live = 0, trouble = 0, unreachable = 0, ended = 0;
  bool recorded = true;
  std::int64_t next_tick = kNextTickSeconds;

  void come_again_in(std::int64_t seconds) {
    next_tick = std::clamp(seconds, kLeastTickSeconds, next_tick);
  }
};

bool is_trouble(Verdict verdict) {
  switch (verdict) {
    case Verdict::healthy:
    case Verdict::starting:
    case Verdict::queued:
    case Verdict::done: return false;
    default: return true;
  }
}

// What was believed before this look and is not so. A belief of ours is a claim: the artifact wins
// over the process, the process over the log, the log over the belief.
std::string corrected_belief(const RunLook& look) {
  const std::string& before = look.record.last_verdict;
  const std::string now(verdict_name(look.assessment.verdict));
  if (look.record.state == RunState::ended && !look.assessment.ended)
    return "the ledger held it for ended, and the box shows it " + now;
  const bool believed_well =
      before == "healthy" || before == "starting" || before == "queued" || before == "done";
  if (believed_well && is_trouble(look.assessment.verdict))
    return "it was held for " + before + ", and is " + now;
  return {};
}

// "2 of 5 artifacts are here": a transfer that was cut goes on where it stopped.
void add_transfer(Environment& environment, const std::string& run, Json& row, std::string& line) {
  const auto pulled = pulled_of(environment, run);
  if (!pulled) return;
  row["transfer"] = {
      {"expected", pulled->expected}, {"whole", pulled->whole}, {"partial", pulled->short_}};
  line += "\n    transfer: " + std::to_string(pulled->whole) + " of " +
          std::to_string(pulled->expected) + " artifacts are here with the manifest's size" +
          (pulled->short_ > 0 ? ", " + std::to_string(pulled->short_) + " with another" : "");
}

// What a tick tells of a cell: trouble always, the rest only when something changed.
void add_cells(const RunLook& look, Report& report, Json& row, std::string& line) {
  Json cells = Json::array();
  std::string progress;
  for (const CellAssessment& cell : look.assessment.cells) {
    const bool trouble = is_trouble(cell.verdict);
    if (trouble || look.changed) cells.push_back(cell_to_json(cell, false));
    if (trouble) {
      line += "\n    " + cell.cell + ": " + cell.why;
      report.cite(cell.references);
    } else if (!cell.progress.empty()) {
      const std::string words = pace_words(cell);
      line += "\n    " + cell.cell + ": " + (words.empty() ? cell.progress : words);
      progress = words.empty() ? cell.progress : words;
    }
    for (const Note& note : cell.notes) {
      if (note.id == "throughput_drop") line += "\n    " + cell.cell + ": " + note.text;
    }
  }
  row["cells"] = std::move(cells);
  if (!progress.empty()) row["progress"] = std::move(progress);
}

// What will run out before the run is through, and when to come again because of it.
void add_forecast(const RunLook& look, Report& report, Json& row, std::string& line, Tally& tally) {
  const RunAssessment& seen = look.assessment;
  if (!seen.notes.empty()) {
    row["notes"] = notes_to_json(seen.notes);
    row["trends"] = trends_to_json(seen.trends);
  }
  for (const Note& note : seen.notes) {
    line += "\n    " + note.text;
    report.cite(note.references);
    if (!note.act) continue;
    const bool memory = note.id == "memory_creep";
    report.add_next({look.record.run + ": " + note.text +
                         (memory ? "; tell the user, and look for what grows"
                                 : "; ask the user to prune scratch or expand the disk now"),
                     "", nullptr});
    tally.come_again_in(kSoonTickSeconds);
  }
  for (const CellAssessment& cell : seen.cells) {
    if (cell.left_seconds) tally.come_again_in(*cell.left_seconds + kAfterTheEnd);
  }
}

void add_run(Environment& environment, const RunLook& look, const BoxLook& box, Report& report,
             Json& rows, Tally& tally) {
  const RunAssessment& seen = look.assessment;
  tally.trouble += is_trouble(seen.verdict);
  (seen.ended ? tally.ended : tally.live) += 1;
  tally.recorded = tally.recorded && look.recorded;
  if (is_trouble(seen.verdict) || seen.verdict == Verdict::starting)
    tally.come_again_in(kSoonTickSeconds);
  Json row{{"run", look.record.run},
           {"box", look.record.box},
           {"verdict", verdict_name(seen.verdict)},
           {"summary", seen.summary},
           {"changed", look.changed},
           {"ended", seen.ended},
           {"remediation", remediation_name(seen.remediation)}};
  std::string line = look.record.run + " on " + look.record.box + ": " +
                     std::string(verdict_name(seen.verdict)) + ", " + seen.summary +
                     (look.changed ? "" : " (no change)");
  if (box.identity_changed) {
    row["identity_changed"] = true;
    line += "\n    this is not the machine that the run was started on";
  }
  if (const std::string belief = corrected_belief(look); !belief.empty()) {
    row["believed"] = look.record.last_verdict;
    line += "\n    " + belief;
  }
  add_cells(look, report, row, line);
  add_forecast(look, report, row, line, tally);
  if (seen.ended) {
    row["proven"] = false;
    add_transfer(environment, look.record.run, row, line);
  }
  report.add_line(line);
  rows.push_back(std::move(row));
  if (seen.remediation == Remediation::none) return;
  NextStep step = step_for(look);
  step.say = look.record.run + ": " + step.say;
  report.add_next(std::move(step));
}

void add_silent_box(const BoxLook& box, const std::vector<RunRecord>& records, Report& report,
                    Json& rows, Tally& tally) {
  const Error& error = box.reading.error();
  for (const RunRecord& record : records) {
    ++tally.unreachable;
    rows.push_back({{"run", record.run},
                    {"box", record.box},
                    {"verdict", verdict_name(Verdict::unreachable)},
                    {"summary", error.message},
                    {"changed", record.last_verdict != "unreachable"},
                    {"ended", record.state == RunState::ended},
                    {"remediation", remediation_name(Remediation::check_console)},
                    {"last_verdict", record.last_verdict},
                    {"last_seen", to_iso8601(record.last_look)},
                    {"cells", Json::array()}});
    report.add_line(record.run + " on " + record.box + ": unreachable, " + error.message +
                    " (last seen " + (record.last_verdict.empty() ? "never" : record.last_verdict) +
                    ")");
  }
  tally.come_again_in(kSoonTickSeconds);
  report.add_next({box.box + ": unreachable is not dead. " + error.next +
                       "; if it lasts, ask the user to check the console (power, balance, address)",
                   "", nullptr});
}

// Ended, and proven to be here: nothing on the box matters to it any more.
void add_proven(const RunRecord& record, Report& report, Json& rows, Tally& tally) {
  ++tally.ended;
  rows.push_back({{"run", record.run},
                  {"box", record.box},
                  {"verdict", record.last_verdict},
                  {"summary", record.last_summary},
                  {"changed", false},
                  {"ended", true},
                  {"proven", true},
                  {"cells", Json::array()},
                  {"remediation", remediation_name(Remediation::none)}});
  report.add_line(record.run + " on " + record.box + ": ended, " + record.last_summary +
                  ", artifacts proven");
}

// What the platform's own deadlines say about a box, once a box.
void add_clocks(Environment& environment, const BoxLook& box, const std::vector<RunRecord>& records,
                const Call& call, Report& report, Json& clocks) {
  if (records.empty()) return;
  const auto profile = environment.handbook.profile(records[0].profile);
  const auto known = environment.ledger->find_box(box.box);
  if (!profile || !known || !known->has_value()) return;
  // A box is rented anew under an old name: its session began with the oldest run still open on it.
  const auto oldest = std::min_element(
      records.begin(), records.end(),
      [](const RunRecord& a, const RunRecord& b) { return a.created < b.created; });
  const BoxTimes times{oldest->created, (*known)->last_seen, box.reading.ok()};
  for (const std::string& words : clocks_running_out(**profile, times, call.now)) {
    clocks.push_back({{"box", box.box}, {"text", words}});
    report.add_line(box.box + ": " + words);
    report.add_next({box.box + ": tell the user: " + words, "", nullptr});
  }
}

// The intent was written, the box's answer never came: it may have started or not.
void add_unconfirmed(const RunRecord& record, Report& report, Json& rows, Tally& tally) {
  ++tally.live;
  ++tally.trouble;
  tally.come_again_in(kSoonTickSeconds);
  rows.push_back({{"run", record.run},
                  {"box", record.box},
                  {"verdict", verdict_name(Verdict::unknown)},
                  {"summary", kUnconfirmed},
                  {"changed", false},
                  {"ended", false},
                  {"remediation", remediation_name(Remediation::retry_same_config)},
                  {"cells", Json::array()}});
  report.add_line(record.run + " on " + record.box + ": unknown, " + std::string(kUnconfirmed));
  report.add_next(confirm_launch(record));
}

void summarise(const Tally& tally, Report& report) {
  const bool end = tally.live == 0 && tally.unreachable == 0;
  std::string summary = std::to_string(tally.live) + " live, " + std::to_string(tally.ended) +
                        " ended, " + std::to_string(tally.unreachable) + " unreachable";
  if (tally.trouble > 0) summary += ", " + std::to_string(tally.trouble) + " need attention";
  if (end) {
    summary += tally.ended == 0 ? ". Nothing to patrol."
                                : ". All runs have ended: verify, then end the patrol.";
    report.add_next({tally.trouble == 0
                         ? "remove the recurring patrol: nothing is left to watch"
                         : "nothing runs any more: remove the recurring patrol, unless a run is "
                           "started again",
                     "", nullptr});
  }
  report.set_summary(summary);
  report.set_verdict(tally.trouble > 0       ? "attention"
                     : tally.unreachable > 0 ? "unreachable"
                     : end                   ? "all_ended"
                                             : "healthy");
  report.set_exit(tally.unreachable > 0 && tally.trouble == 0 ? Exit::unreachable
                  : tally.trouble > 0                         ? Exit::attention
                                                              : Exit::fine);
  report.field("end_patrol") = end;
  report.field("recorded") = tally.recorded;
  report.field("next_tick_seconds") = tally.next_tick;
}

ToolResult patrol_tick(Environment& environment, const Json& arguments, const Call& call) {
  if (environment.ledger == nullptr) return usage_error(environment.ledger_error);
  const std::string only = text_or(arguments, "run");
  auto all = environment.ledger->runs();
  if (!all) return usage_error(all.error());
  ByBox boxes;
  std::vector<RunRecord> proven;
  std::vector<RunRecord> unconfirmed;
  bool found = only.empty();
  for (const RunRecord& record : *all) {
    if (!only.empty() && record.run != only) continue;
    found = true;
    if (record.state == RunState::abandoned) continue;
    if (record.state == RunState::ended && is_proven(environment, record))
      proven.push_back(record);
    else if (record.folder.empty())
      unconfirmed.push_back(record);
    else
      boxes[record.box].push_back(record);
  }
  if (!found) return usage_error(unknown_run(environment, only));

  Report report(environment.handbook, "");
  Json rows = Json::array();
  Tally tally;
  Json cost{{"round_trips", 0}, {"bytes_sent", 0}, {"bytes_received", 0}};
  Json clocks = Json::array();
  for (const BoxLook& box : look_at_all(environment, boxes, call)) {
    add_clocks(environment, box, boxes.at(box.box), call, report, clocks);
    if (!box.reading) {
      add_silent_box(box, boxes.at(box.box), report, rows, tally);
      continue;
    }
    cost["round_trips"] = cost["round_trips"].get<int>() + box.reading->round_trips;
    cost["bytes_sent"] = cost["bytes_sent"].get<std::uint64_t>() + box.reading->bytes_sent;
    cost["bytes_received"] =
        cost["bytes_received"].get<std::uint64_t>() + box.reading->bytes_received;
    for (const RunLook& look : box.runs) add_run(environment, look, box, report, rows, tally);
  }
  for (const RunRecord& record : unconfirmed) add_unconfirmed(record, report, rows, tally);
  for (const RunRecord& record : proven) add_proven(record, report, rows, tally);
  summarise(tally, report);
  report.field("runs") = std::move(rows);
  report.field("cost") = std::move(cost);
  if (!clocks.empty()) report.field("danger_clocks") = std::move(clocks);
  return report.finish();
}

}  // namespace

Tool patrol_tick_tool(Environment& environment) {
  return {card(), [&environment](const Json& arguments, const Call& call) {
            return patrol_tick(environment, arguments, call);
          }};
}

}  // namespace rgt
