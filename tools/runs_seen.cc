// SPDX-License-Identifier: MIT
#include "tools/runs_seen.h"

#include "core/base/log.h"
#include "core/base/text.h"
#include "tools/boxes_seen.h"

namespace rgt {

Error unknown_run(const Environment& environment, const std::string& run) {
  std::vector<std::string> names;
  if (const auto runs = environment.ledger->runs()) {
    for (const RunRecord& record : *runs) names.push_back(record.run);
  }
  const auto near = did_you_mean(run, names);
  std::string next = near ? "did you mean " + *near + "?" : "";
  if (!near && names.empty()) next = "the ledger knows no run yet: launch one";
  if (!near && !names.empty()) {
    names.resize(std::min<std::size_t>(names.size(), 8));
    next = "known runs: " + join(names, ", ");
  }
  return Error{Code::not_found, "no run named \"" + clean_line(run, 80) + "\" in the ledger", next};
}

Result<RunRecord> find_run(const Environment& environment, const std::string& run) {
  if (environment.ledger == nullptr) return environment.ledger_error;
  auto found = environment.ledger->find_run(run);
  if (!found) return found.error();
  if (!found->has_value()) return unknown_run(environment, run);
  return **found;
}

std::string write_path_of(const CellSpec& cell, const std::string& run_folder) {
  return cell.write_path.empty() ? run_folder + "/cells/" + cell.name + "/out" : cell.write_path;
}

namespace {

LookRequest::Run to_request(Environment& environment, const RunRecord& record) {
  LookRequest::Run run{record.run, record.folder, {}};
  if (const auto memory = environment.ledger->cell_memory(record.run)) {
    for (const CellMemory& cell : *memory) run.positions.push_back(cell.position);
  }
  return run;
}

RunLook assess_run(Environment& environment, const RunRecord& record, const RunReading& reading,
                   std::int64_t box_time, const ProgressPattern* pattern, Time now) {
  RunLook look;
  look.record = record;
  look.reading = reading;
  auto job = parse_job(record.spec);
  require(job.ok(), "the ledger holds a job that does not parse");
  look.job = std::move(*job);
  const auto memory = environment.ledger->cell_memory(record.run);
  look.assessment =
      assess(look.job, reading, box_time, memory ? *memory : std::vector<CellMemory>{}, pattern);
  look.changed = record.last_verdict != verdict_name(look.assessment.verdict) ||
                 record.last_summary != look.assessment.summary;
  const auto saved = environment.ledger->run_looked_at(look.assessment, now);
  look.recorded = saved.ok();
  if (!saved) log::warn("cannot record the look at " + record.run + ": " + saved.error().message);
  return look;
}

}  // namespace

BoxLook look_at_box(Environment& environment, const std::string& box,
                    const std::vector<RunRecord>& records, const Call& call, LookManner manner) {
  BoxLook result;
  result.box = box;
  auto shell = environment.boxes.shell(box);
  if (!shell) {
    result.reading = shell.error();
    return result;
  }
  LookRequest request;
  request.in_depth = manner.in_depth;
  for (const RunRecord& record : records) request.runs.push_back(to_request(environment, record));
  result.reading = look(**shell, request, call.stop);
  result.host_key = (*shell)->host_key();
  if (!result.reading) return result;
  const Reading& reading = *result.reading;
  remember_box(environment, box,
               records.empty() ? default_profile(environment, box) : records[0].profile,
               reading.machine_id, result.host_key, call.now);
  for (std::size_t i = 0; i < records.size() && i < reading.runs.size(); ++i) {
    const std::string& before = records[i].machine_id;
    if (!before.empty() && !reading.machine_id.empty() && before != reading.machine_id) {
      result.identity_changed = true;
    }
    result.runs.push_back(assess_run(environment, records[i], reading.runs[i], reading.box_time,
                                     manner.pattern, call.now));
  }
  return result;
}

namespace {

Json numbers_to_json(const CellAssessment& cell) {
  const Progress& numbers = cell.numbers;
  Json json = Json::object();
  if (numbers.step) json["step"] = *numbers.step;
  if (numbers.steps) json["steps"] = *numbers.steps;
  if (numbers.epoch) json["epoch"] = *numbers.epoch;
  if (numbers.epochs) json["epochs"] = *numbers.epochs;
  if (numbers.loss) json["loss"] = *numbers.loss;
  if (numbers.rate) json["rate"] = {{"per_second", *numbers.rate}, {"unit", numbers.rate_unit}};
  if (const auto now = cell.memory.pace.rates().now) json["measured_per_hour"] = *now * 3600;
  if (cell.left_seconds) json["left_seconds"] = *cell.left_seconds;
  return json;
}

void add_trend(const std::optional<Trend>& trend, const char* name, Json& json) {
  if (!trend) return;
  json[name] = {{"per_hour", trend->per_hour}};
  if (trend->full_seconds) json[name]["full_seconds"] = *trend->full_seconds;
}

}  // namespace

std::string pace_words(const CellAssessment& cell) {
  const Progress& numbers = cell.numbers;
  std::vector<std::string> words;
  const auto of = [](const auto& total) { return total ? "/" + std::to_string(*total) : ""; };
  if (numbers.epoch) words.push_back("epoch " + short_number(*numbers.epoch) + of(numbers.epochs));
  if (numbers.step) words.push_back("step " + std::to_string(*numbers.step) + of(numbers.steps));
  if (const auto now = cell.memory.pace.rates().now)
    words.push_back("measured " + short_number(*now * 3600) + " an hour");
  if (cell.left_seconds)
    words.push_back("about " + to_words(Seconds(*cell.left_seconds)) + " left");
  return join(words, ", ");
}

Json notes_to_json(const std::vector<Note>& notes) {
  Json json = Json::array();
  for (const Note& note : notes) json.push_back({{"id", note.id}, {"text", note.text}});
  return json;
}

Json trends_to_json(const Trends& trends) {
  Json json{{"span_seconds", trends.span_seconds}};
  add_trend(trends.disk, "disk_bytes_used", json);
  add_trend(trends.inodes, "inodes_used", json);
  add_trend(trends.memory, "memory_bytes", json);
  if (trends.gpu_percent) json["gpu_percent"] = *trends.gpu_percent;
  return json;
}

Json cell_to_json(const CellAssessment& cell, bool with_tail) {
  Json json{{"cell", cell.cell}, {"verdict", verdict_name(cell.verdict)}, {"why", cell.why}};
  if (!cell.progress.empty()) json["progress"] = cell.progress;
  if (Json numbers = numbers_to_json(cell); !numbers.empty()) json["numbers"] = std::move(numbers);
  if (!cell.notes.empty()) json["notes"] = notes_to_json(cell.notes);
  if (cell.failure != FailureClass::none) json["failure_class"] = failure_class_name(cell.failure);
  if (cell.remediation != Remediation::none)
    json["remediation"] = remediation_name(cell.remediation);
  if (!cell.diagnosis) return json;
  Json candidates = Json::array();
  for (const Candidate& candidate : cell.diagnosis->candidates) {
    candidates.push_back({{"failure_class", failure_class_name(candidate.failure)},
                          {"reason", candidate.reason},
                          {"evidence", candidate.evidence}});
  }
  json["candidates"] = std::move(candidates);
  if (with_tail) json["log_tail"] = cell.diagnosis->tail;
  return json;
}

Json cost_to_json(const Reading& reading) {
  return {{"round_trips", reading.round_trips},
          {"bytes_sent", reading.bytes_sent},
          {"bytes_received", reading.bytes_received},
          {"connected_anew", reading.connected_anew}};
}

NextStep confirm_launch(const RunRecord& record) {
  return {record.run + ": launch it again; that never starts a run twice",
          "launch",
          {{"run", record.run}, {"resume", true}}};
}

NextStep step_for(const RunLook& look) {
  const std::string& run = look.record.run;
  switch (look.assessment.remediation) {
    case Remediation::pull_and_verify:
      return {"pull the artifacts and prove that they load", "verify_artifacts", {{"run", run}}};
    case Remediation::resume_from_latest:
    case Remediation::retry_same_config:
      return {
          "start the failed cells again with the very same command; it loads its latest checkpoint",
          "launch",
          {{"run", run}, {"resume", true}}};
    case Remediation::prune_scratch_then_retry:
      return {
          "free space on the box (scratch and old checkpoints, keep best and latest), ask the user "
          "before deleting, then resume",
          "launch",
          {{"run", run}, {"resume", true}}};
    case Remediation::ask_to_expand_disk:
      return {"ask the user to expand the disk; do not shrink the experiment", "", nullptr};
    case Remediation::investigate_code:
      return {"read the evidence and fix the cause before anything is started again",
              "probe",
              {{"run", run}}};
    case Remediation::re_rent_box:
      return {"the GPU is failing: save what is there, then tell the user to rent another box",
              "verify_artifacts",
              {{"run", run}}};
    case Remediation::check_console:
      return {"ask the user to check the provider's console: power, balance, address", "", nullptr};
    case Remediation::remove_patrol: return {"end the patrol for this run", "", nullptr};
    case Remediation::none: break;
  }
  return {"nothing to do; look again later", "patrol_tick", Json::object()};
}

}  // namespace rgt
