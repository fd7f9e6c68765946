// SPDX-License-Identifier: MIT
// launch: starts a run that survives us, or resumes one. The intent is in the ledger before
// anything happens on the box, so a crash between the two leaves a trace and the same call again
// converges.
#include "tools/launch.h"

#include <map>

#include "core/base/text.h"
#include "core/box/run_folder.h"
#include "tools/boxes_seen.h"
#include "tools/report.h"
#include "tools/runs_seen.h"

namespace rgt {
namespace {

Card card() {
  const Json text{{"type", "string"}};
  const Json cell{
      {"type", "object"},
      {"properties",
       {{"name", text},
        {"command", {{"type", "string"}, {"description", "sh text"}}},
        {"env", {{"type", "object"}, {"additionalProperties", text}}},
        {"write_path", {{"type", "string"}, {"description", "absolute; default $RGT_OUT"}}},
        {"artifacts",
         {{"type", "array"},
          {"items", text},
          {"description", "files or folders below the write path that must outlive the box"}}}}},
      {"required", {"name", "command"}},
      {"additionalProperties", false}};
  const Json job{
      {"type", "object"},
      {"properties",
       {{"run", {{"type", "string"}, {"description", "handle, [A-Za-z0-9._-]"}}},
        {"box", text},
        {"profile", text},
        {"run_root", {{"type", "string"}, {"description", "absolute; default ~/.rgt/runs"}}},
        {"directory", {{"type", "string"}, {"description", "absolute folder commands start in"}}},
        {"cells", {{"type", "array"}, {"minItems", 1}, {"items", cell}}},
        {"parallel", {{"type", "integer"}, {"minimum", 1}, {"maximum", 64}}},
        {"heartbeat_seconds", {{"type", "integer"}, {"minimum", 1}, {"maximum", 3600}}},
        {"expected_seconds", {{"type", "integer"}, {"minimum", 0}}},
        {"stall_seconds", {{"type", "integer"}, {"minimum", 1}}},
        {"detach", {{"enum", {"auto", "tmux", "nohup"}}}},
        {"secret_env",
         {{"type", "array"},
          {"items", text},
          {"description", "NAMES; values come from the server's environment by stdin"}}}}},
      {"required", {"run", "box", "cells"}},
      {"additionalProperties", false}};
  return Card{"launch",
              "Launch or resume a run",
              "Phase 3: start a job on a box so that it survives every disconnect (own session, "
              "per-cell log, "
              "DONE/FAILED markers, heartbeats). Idempotent: the same run and job returns the "
              "existing run; the "
              "same name with another job is refused. {run, resume:true} starts failed or lost "
              "cells again with "
              "the very same command (it must load its latest checkpoint itself); finished and "
              "live cells are "
              "left alone.",
              input_schema({{"job", job}, {"run", text}, {"resume", {{"type", "boolean"}}}}, {}),
              output_schema({{"run", text},
                             {"box", text},
                             {"started", {{"type", "boolean"}}},
                             {"folder", text},
                             {"detach", text},
                             {"spec_digest", text},
                             {"cells_started", {{"type", "array"}}}},
                            {"run", "started"}),
              Annotations{.read_only = false, .destructive = false, .idempotent = true}};
}

// Values are read here and only here, and go to the box on stdin.
Result<std::map<std::string, std::string>> secret_values(const Environment& environment,
                                                         const JobSpec& job) {
  std::map<std::string, std::string> values;
  for (const std::string& name : job.secret_env) {
    const auto value = environment.variable ? environment.variable(name) : std::nullopt;
    if (!value) {
      return Error{
          Code::invalid_argument,
          "job.secret_env: " + name + " is not set in the environment of rgt",
          "export " + name + " before starting rgt (or the MCP server), then launch again"};
    }
    values[name] = *value;
  }
  return values;
}

struct Order {
  JobSpec job = {};
  bool resume = false;
};

Result<Order> read_order(const Environment& environment, const Json& arguments) {
  const bool resume = flag_or(arguments, "resume", false);
  const std::string run = text_or(arguments, "run");
  if (arguments.contains("job") == !run.empty()) {
    return Error{Code::invalid_argument,
                 "expected either `job` (a new run) or `run` with resume:true",
                 "launch {\"job\":{...}} or launch {\"run\":\"NAME\",\"resume\":true}"};
  }
  if (run.empty()) {
    auto job = parse_job(arguments.at("job").dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!job) return job.error();
    return Order{std::move(*job), resume};
  }
  if (!resume) {
    return Error{Code::invalid_argument, "`run` alone would do nothing: expected resume:true",
                 "call probe to look at it, or launch {\"run\":\"" + clean_line(run, 64) +
                     "\",\"resume\":true}"};
  }
  auto found = environment.ledger->find_run(run);
  if (!found) return found.error();
  if (!found->has_value()) return unknown_run(environment, run);
  auto job = parse_job((*found)->spec);
  if (!job) return job.error();
  return Order{std::move(*job), true};
}

ToolResult existing_run(const Environment& environment, const RunRecord& run) {
  Report report(environment.handbook, std::string(run_state_name(run.state)));
  report.set_summary("Run " + run.run + " was already launched on " + run.box +
                     " with this very job; nothing was started.");
  report.field("run") = run.run;
  report.field("box") = run.box;
  report.field("started") = false;
  report.field("folder") = run.folder;
  report.field("spec_digest") = run.spec_digest;
  report.field("cells_started") = Json::array();
  report.add_next({"look at it", "probe", {{"run", run.run}}});
  return report.finish();
}

ToolResult started_run(const Environment& environment, const Order& order, const StartReport& start,
                       bool recorded) {
  const JobSpec& job = order.job;
  Report report(environment.handbook, "launched");
  const std::string cells = std::to_string(start.cells_started.size());
  report.set_summary(start.started ? "Run " + job.run + (order.resume ? " resumed" : " launched") +
                                         " on " + job.box + ": " + cells + " of " +
                                         std::to_string(job.cells.size()) + " cells queued under " +
                                         start.detach + ". It goes on without this session."
                                   : "Run " + job.run + " on " + job.box +
                                         " had nothing to start: its cells are alive or done.");
  report.field("run") = job.run;
  report.field("box") = job.box;
  report.field("started") = start.started;
  report.field("folder") = start.folder;
  report.field("detach") = start.detach;
  report.field("spec_digest") = job_digest(job);
  report.field("cells_started") = start.cells_started;
  report.field("recorded") = recorded;
  if (!recorded) report.add_line("The ledger could not be written: note the folder above.");
  report.add_next(
      {"within a minute, check that the first log lines are right", "probe", {{"run", job.run}}});
  report.add_next(
      {"then patrol about every 30 minutes until it ends", "patrol_tick", Json::object()});
  for (const CellSpec& cell : job.cells) {
    if (cell.artifacts.empty()) {
      report.add_line("warning: cell " + cell.name +
                      " names no artifacts; nothing of it can be verified, "
                      "and the teardown gate will stay shut");
    }
  }
  return report.finish();
}

ToolResult start_failed(const Environment& environment, const Order& order, const Error& error) {
  const Json fields{{"run", order.job.run}, {"box", order.job.box}, {"started", false}};
  std::vector<NextStep> next;
  if (error.code != Code::conflict) {
    Json again = order.resume
                     ? Json{{"run", order.job.run}, {"resume", true}}
                     : Json{{"job", Json::parse(canonical_job(order.job), nullptr, false)}};
    next.push_back({"the launch is safe to repeat as it is; it never starts a run twice", "launch",
                    std::move(again)});
  }
  return trouble_report(environment.handbook, error, fields, std::move(next));
}

ToolResult launch(Environment& environment, const Json& arguments, const Call& call) {
  if (environment.ledger == nullptr) return usage_error(environment.ledger_error);
  auto order = read_order(environment, arguments);
  if (!order) return usage_error(order.error());
  JobSpec& job = order->job;
  if (job.profile.empty()) job.profile = default_profile(environment, job.box);
  if (auto known = environment.handbook.profile(job.profile); !known)
    return usage_error(known.error());
  auto secrets = secret_values(environment, job);
  if (!secrets) return usage_error(secrets.error());
  auto shell = environment.boxes.shell(job.box);
  if (!shell) return usage_error(shell.error());

  RunRecord record;
  record.run = job.run;
  record.box = job.box;
  record.profile = job.profile;
  record.spec = canonical_job(job);
  record.spec_digest = job_digest(job);
  auto claim = environment.ledger->claim_run(record, call.now);
  if (!claim) return usage_error(claim.error());
  const bool settled = claim->claim == Claim::same && claim->run.state != RunState::launching;
  if (settled && claim->run.state == RunState::abandoned) {
    return usage_error({Code::conflict, "run " + job.run + " was abandoned by a person",
                        "launch the job under another name"});
  }
  if (settled && !order->resume) return existing_run(environment, claim->run);

  call.report(0, 1, "starting on " + job.box);
  auto start = start_run(**shell, job, order->resume, *secrets, call.stop);
  if (!start) return start_failed(environment, *order, start.error());
  const auto recorded = environment.ledger->run_started(job.run, start->folder, start->detach,
                                                        start->machine_id, (*shell)->host_key(),
                                                        order->resume && start->started, call.now);
  return started_run(environment, *order, *start, recorded.ok());
}

}  // namespace

Tool launch_tool(Environment& environment) {
  return {card(), [&environment](const Json& arguments, const Call& call) {
            return launch(environment, arguments, call);
          }};
}

}  // namespace rgt
