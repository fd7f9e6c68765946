// SPDX-License-Identifier: MIT
// patrol_tick: every live run on every box, one round trip per box, one line per run even when
// nothing changed. Reports and recommends; never restarts anything. Safe to run twice at once.
#include "tools/patrol_tick.h"

#include <algorithm>
#include <future>
#include <map>

#include "core/base/text.h"
#include "tools/report.h"
#include "tools/runs_seen.h"

namespace rgt {
namespace {

// What the public practice settled on: long enough to cost nothing, short enough to save a night.
constexpr std::int64_t kNextTickSeconds = 1800;
// Something is starting or in trouble: look again soon.
constexpr std::int64_t kSoonTickSeconds = 300;
constexpr std::size_t kBoxesAtOnce = 32;  // threads; each only waits for its box

Card card() {
  return Card{
      "patrol_tick",
      "Patrol all runs",
      "Phase 4, for a /loop or cron tick about every 30 minutes: looks at every live run on every "
      "box "
      "(one combined round trip each) and reports one line per run even when nothing changed, with "
      "verdict, what changed, and the fixed remediation in `next`. Never restarts anything. Says "
      "when "
      "to end the patrol. Without arguments it covers everything in the ledger, so a brand-new "
      "session "
      "can take over with it.",
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
// sum.
std::vector<BoxLook> look_at_all(Environment& environment, const ByBox& boxes, const Call& call) {
  std::vector<BoxLook> looks;
  std::vector<std::future<BoxLook>> waiting;
  const auto collect = [&] {
    for (std::future<BoxLook>& future : waiting) looks.push_back(future.get());
    waiting.clear();
    call.report(
        static_cast<double>(looks.size()), static_cast<double>(boxes.size()),
        std::to_string(looks.size()) + " of " + std::to_string(boxes.size()) + " boxes looked at");
  };
  for (const auto& [box, records] : boxes) {
    waiting.push_back(
        std::async(std::launch::async, [&environment, &call, &box = box, &records = records] {
          return look_at_box(environment, box, records, call);
        }));
    if (waiting.size() == kBoxesAtOnce) collect();
  }
  collect();
  return looks;
}

struct Tally {
  std::size_t looked = 0, live = 0, trouble = 0, unreachable = 0, ended = 0, unproven = 0;
  bool recorded = true;
  bool soon = false;
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

void add_run(const RunLook& look, const BoxLook& box, Report& report, Json& rows, Tally& tally) {
  const RunAssessment& seen = look.assessment;
  ++tally.looked;
  tally.trouble += is_trouble(seen.verdict);
  (seen.ended ? tally.ended : tally.live) += 1;
  tally.unproven += seen.ended;
  tally.recorded = tally.recorded && look.recorded;
  tally.soon = tally.soon || is_trouble(seen.verdict) || seen.verdict == Verdict::starting;
  Json row{{"run", look.record.run},
           {"box", look.record.box},
           {"verdict", verdict_name(seen.verdict)},
           {"summary", seen.summary},
           {"changed", look.changed},
           {"ended", seen.ended},
           {"remediation", remediation_name(seen.remediation)}};
  if (box.identity_changed) row["identity_changed"] = true;
  std::string line = look.record.run + " on " + look.record.box + ": " +
                     std::string(verdict_name(seen.verdict)) + ", " + seen.summary +
                     (look.changed ? "" : " (no change)");
  Json cells = Json::array();
  for (const CellAssessment& cell : seen.cells) {
    // Cells that need nobody's attention cost no bytes once they were reported.
    const bool worth_telling = is_trouble(cell.verdict) || look.changed;
    if (worth_telling) cells.push_back(cell_to_json(cell, false));
    if (is_trouble(cell.verdict)) line += "\n    " + cell.cell + ": " + cell.why;
    if (!is_trouble(cell.verdict) && !cell.progress.empty())
      line += "\n    " + cell.cell + ": " + cell.progress;
    if (is_trouble(cell.verdict)) report.cite(cell.references);
  }
  row["cells"] = std::move(cells);
  report.add_line(line);
  rows.push_back(std::move(row));
  const bool act = seen.remediation != Remediation::none;
  if (act) {
    NextStep step = step_for(look);
    step.say = look.record.run + ": " + step.say;
    report.add_next(std::move(step));
  }
}

void add_silent_box(const BoxLook& box, const std::vector<RunRecord>& records, Report& report,
                    Json& rows, Tally& tally) {
  const Error& error = box.reading.error();
  for (const RunRecord& record : records) {
    ++tally.unreachable;
    ++tally.looked;
    rows.push_back({{"run", record.run},
                    {"box", record.box},
                    {"verdict", verdict_name(Verdict::unreachable)},
                    {"summary", error.message},
                    {"changed", record.last_verdict != "unreachable"},
                    {"ended", false},
                    {"remediation", remediation_name(Remediation::check_console)},
                    {"last_verdict", record.last_verdict},
                    {"last_seen", to_iso8601(record.last_look)},
                    {"cells", Json::array()}});
    report.add_line(record.run + " on " + record.box + ": unreachable, " + error.message +
                    " (last seen " + (record.last_verdict.empty() ? "never" : record.last_verdict) +
                    ")");
  }
  tally.soon = true;
  report.add_next({box.box + ": unreachable is not dead. " + error.next +
                       "; if it lasts, ask the user to check the console (power, balance, address)",
                   "", nullptr});
}

// Runs that ended earlier are not looked at again; whether they are proven is known here.
void add_ended_runs(Environment& environment, const std::vector<RunRecord>& ended, Report& report,
                    Json& rows, Tally& tally) {
  for (const RunRecord& record : ended) {
    const auto evidence = environment.ledger->evidence(record.run);
    const bool proven =
        evidence && !evidence->empty() &&
        std::all_of(evidence->begin(), evidence->end(), [&](const EvidenceRecord& row) {
          return row.verdict == "ok" && row.manifest_digest == record.manifest_digest;
        });
    ++tally.ended;
    tally.unproven += !proven;
    rows.push_back({{"run", record.run},
                    {"box", record.box},
                    {"verdict", record.last_verdict},
                    {"summary", record.last_summary},
                    {"changed", false},
                    {"ended", true},
                    {"proven", proven},
                    {"cells", Json::array()},
                    {"remediation",
                     remediation_name(proven ? Remediation::none : Remediation::pull_and_verify)}});
    report.add_line(record.run + " on " + record.box + ": ended, " + record.last_summary +
                    (proven ? ", artifacts proven" : ", artifacts NOT proven"));
    if (!proven) {
      report.add_next({record.run + ": pull the artifacts and prove that they load",
                       "verify_artifacts",
                       {{"run", record.run}}});
    }
  }
}

// The intent was written, the box's answer never came: it may have started or not.
void add_unconfirmed(const RunRecord& record, Report& report, Json& rows, Tally& tally) {
  ++tally.live;
  ++tally.trouble;
  tally.soon = true;
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
    report.add_next({"remove the recurring patrol: nothing is left to watch", "", nullptr});
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
  report.field("next_tick_seconds") = tally.soon ? kSoonTickSeconds : kNextTickSeconds;
}

ToolResult patrol_tick(Environment& environment, const Json& arguments, const Call& call) {
  if (environment.ledger == nullptr) return usage_error(environment.ledger_error);
  const std::string only = text_or(arguments, "run");
  auto all = environment.ledger->runs();
  if (!all) return usage_error(all.error());
  ByBox boxes;
  std::vector<RunRecord> ended;
  std::vector<RunRecord> unconfirmed;
  bool found = only.empty();
  for (const RunRecord& record : *all) {
    if (!only.empty() && record.run != only) continue;
    found = true;
    if (record.state == RunState::abandoned) continue;
    if (record.state == RunState::ended)
      ended.push_back(record);
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
  for (const BoxLook& box : look_at_all(environment, boxes, call)) {
    if (!box.reading) {
      add_silent_box(box, boxes.at(box.box), report, rows, tally);
      continue;
    }
    cost["round_trips"] = cost["round_trips"].get<int>() + box.reading->round_trips;
    cost["bytes_sent"] = cost["bytes_sent"].get<std::uint64_t>() + box.reading->bytes_sent;
    cost["bytes_received"] =
        cost["bytes_received"].get<std::uint64_t>() + box.reading->bytes_received;
    for (const RunLook& look : box.runs) add_run(look, box, report, rows, tally);
  }
  for (const RunRecord& record : unconfirmed) add_unconfirmed(record, report, rows, tally);
  add_ended_runs(environment, ended, report, rows, tally);
  summarise(tally, report);
  report.field("runs") = std::move(rows);
  report.field("cost") = std::move(cost);
  return report.finish();
}

}  // namespace

Tool patrol_tick_tool(Environment& environment) {
  return {card(), [&environment](const Json& arguments, const Call& call) {
            return patrol_tick(environment, arguments, call);
          }};
}

}  // namespace rgt
