// SPDX-License-Identifier: MIT
#include "tools/recovery.h"

#include "core/base/text.h"
#include "tools/runs_seen.h"

namespace rgt {
namespace {

constexpr std::size_t kEventsShown = 12;  // the last steps; the ledger has them all

Json run_json(Environment& environment, const RunRecord& run) {
  std::size_t proven = 0;
  std::size_t checked = 0;
  if (const auto evidence = environment.ledger->evidence(run.run)) {
    checked = evidence->size();
    for (const EvidenceRecord& row : *evidence) proven += row.verdict == "ok";
  }
  return {{"run", run.run},
          {"box", run.box},
          {"profile", run.profile},
          {"state", run_state_name(run.state)},
          {"folder", run.folder},
          {"detach", run.detach},
          {"created", to_iso8601(run.created)},
          {"last_look", to_unix(run.last_look) == 0 ? "" : to_iso8601(run.last_look)},
          {"last_verdict", run.last_verdict},
          {"last_summary", run.last_summary},
          {"artifacts_proven", proven},
          {"artifacts_checked", checked}};
}

std::string events_text(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) {
    text += "- " + to_iso8601(event.at) + " " + event.kind;
    if (event.kind == "run_looked_at") {
      const Json body = Json::parse(event.body, nullptr, false);
      if (body.is_object())
        text += ": " + text_or(body, "verdict") + ", " + clean_line(text_or(body, "summary"), 200);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

Result<Json> runs_overview(Environment& environment) {
  if (environment.ledger == nullptr) return environment.ledger_error;
  const auto runs = environment.ledger->runs();
  if (!runs) return runs.error();
  Json rows = Json::array();
  for (const RunRecord& run : *runs) rows.push_back(run_json(environment, run));
  return Json{{"runs", std::move(rows)}};
}

Result<std::string> recovery_note(Environment& environment, const std::string& run) {
  const auto record = find_run(environment, run);
  if (!record) return record.error();
  const auto job = parse_job(record->spec);
  const auto events = environment.ledger->events_of_run(run, kEventsShown);
  std::string note = "# Run " + record->run + "\n\n";
  note += "- box: " + record->box + " (profile " + record->profile + ")\n";
  note += "- state: " + std::string(run_state_name(record->state)) + "\n";
  note += "- last verdict: " +
          (record->last_verdict.empty() ? "never looked at"
                                        : record->last_verdict + ", " + record->last_summary +
                                              " (" + to_iso8601(record->last_look) + ")") +
          "\n";
  note += "- folder on the box: " + (record->folder.empty() ? "not confirmed" : record->folder) +
          ", under " + record->detach + "\n";
  if (job) {
    for (const CellSpec& cell : job->cells) {
      note +=
          "- cell " + cell.name + ": writes to " + write_path_of(cell, record->folder) + ", log " +
          record->folder + "/cells/" + cell.name + "/log, artifacts " +
          (cell.artifacts.empty() ? "none named" : clean_line(join(cell.artifacts, ", "), 300)) +
          "\n";
    }
  }
  note += "\n## Next\n\n";
  note += "- look: `rgt probe " + run + "` (tool `probe`)\n";
  note += "- resume what failed, with the same command: `rgt launch --resume " + run +
          "` (tool `launch`, resume true)\n";
  note += "- after the end: `rgt verify " + run + "`, and only then `rgt teardown " + record->box +
          "`\n";
  note += "\n## What happened last\n\n";
  note += events ? events_text(*events) : events.error().message + "\n";
  return note;
}

Result<std::string> takeover_note(Environment& environment) {
  if (environment.ledger == nullptr) return environment.ledger_error;
  const auto runs = environment.ledger->runs();
  if (!runs) return runs.error();
  std::string open;
  std::string closed;
  for (const RunRecord& run : *runs) {
    const std::string line = "- " + run.run + " on " + run.box + ": " +
                             std::string(run_state_name(run.state)) +
                             (run.last_summary.empty() ? "" : ", " + run.last_summary) + "\n";
    (run.state == RunState::abandoned ? closed : open) += line;
  }
  std::string note =
      "# Takeover\n\nBegin with `rgt patrol` (tool `patrol_tick`): it looks at every live run and "
      "says what "
      "to do. Never start anything again before it has answered.\n\n## Runs\n\n";
  note += open.empty() ? "None: nothing was launched from this machine.\n" : open;
  if (!closed.empty()) note += "\n## Abandoned by a person\n\n" + closed;
  const auto boxes = environment.ledger->boxes();
  bool headed = false;
  for (const Ledger::BoxRecord& box : boxes ? *boxes : std::vector<Ledger::BoxRecord>{}) {
    const auto requests = environment.ledger->teardowns(box.box);
    for (const TeardownRecord& request : requests ? *requests : std::vector<TeardownRecord>{}) {
      if (request.state != RequestState::waiting) continue;
      if (!headed) note += "\n## Waiting for a person\n\n";
      headed = true;
      note += "- teardown of " + request.box + ": `rgt approve " + request.request +
              "`, in their own terminal\n";
    }
  }
  return note;
}

}  // namespace rgt
