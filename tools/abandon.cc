// SPDX-License-Identifier: MIT
#include "tools/abandon.h"

#include "core/base/text.h"
#include "tools/report.h"
#include "tools/runs_seen.h"

namespace rgt {

Result<std::string> abandon_question(Environment& environment, const std::string& run) {
  const auto record = find_run(environment, run);
  if (!record) return record.error();
  if (record->state == RunState::abandoned) {
    return Error{Code::refused, "run " + run + " is abandoned already", "nothing is left to do"};
  }
  const auto evidence = environment.ledger->evidence(run);
  std::size_t proven = 0;
  if (evidence) {
    for (const EvidenceRecord& row : *evidence) proven += row.verdict == "ok";
  }
  return "Abandon run " + run + " on " + record->box + "?\n" + "Its last verdict was: " +
         (record->last_verdict.empty() ? "never looked at" : record->last_verdict) + " (" +
         record->last_summary + ")\n" +
         "Proven artifacts on this machine: " + std::to_string(proven) + "\n" +
         "From then on the teardown gate asks nothing about its artifacts: what is only on the box "
         "is lost "
         "with the box. The run itself is not stopped by this.\n";
}

ToolResult abandon_on_terminal(Environment& environment, const std::string& run,
                               const std::string& typed, const std::string& who, const Call& call) {
  if (run.empty() || trim(typed) != run) {
    return usage_error({Code::refused,
                        "what was typed is not the name of the run: nothing was changed",
                        "run rgt abandon " + run + " again to abandon it"});
  }
  const auto record = find_run(environment, run);
  if (!record) return usage_error(record.error());
  const auto saved = environment.ledger->run_abandoned(run, who, call.now);
  if (!saved) return usage_error(saved.error());
  Report report(environment.handbook, "abandoned");
  report.set_summary("Run " + run + " is abandoned, by " + who + ".");
  report.field("run") = run;
  report.add_next({"see what still holds the box", "teardown_request", {{"box", record->box}}});
  return report.finish();
}

}  // namespace rgt
