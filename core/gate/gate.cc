// SPDX-License-Identifier: MIT
// Each condition is one function that adds its blockers; evaluate_gate reads as the list of
// promises. Blocker ids (closed list): box_unreachable, box_identity_changed, unknown_run_folder,
// no_runs_known, run_not_ended, run_state_unknown, manifest_missing, nothing_expected,
// artifact_missing, artifact_unproven, artifact_bad, evidence_stale, local_changed.
#include "core/gate/gate.h"

#include <algorithm>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace rgt {
namespace {

std::string run_argument(const std::string& run) { return "{\"run\":\"" + run + "\"}"; }

Blocker blocker(std::string id, const std::string& run, std::string message, std::string unblock,
                std::string tool = {}, std::string arguments = {}) {
  return {std::move(id),       run, std::move(message), std::move(unblock), std::move(tool),
          std::move(arguments)};
}

Blocker verify_first(std::string id, const RunFacts& run, std::string message) {
  return blocker(std::move(id), run.run, std::move(message), "pull and verify run " + run.run,
                 "verify_artifacts", run_argument(run.run));
}

std::string name_of(const ManifestEntry& entry) {
  return entry.cell + "/" + clean_line(entry.path, 160);
}

void check_box(const GateFacts& facts, std::vector<Blocker>& blockers) {
  if (facts.reachable != Seen::yes) {
    blockers.push_back(blocker("box_unreachable", "",
                               "the box " + facts.box +
                                   " cannot be looked at now, so nothing "
                                   "about it can be checked",
                               "ask the user to check the console (power, balance, "
                               "address), then ask again"));
    return;
  }
  const bool machine =
      !facts.machine_id_recorded.empty() && facts.machine_id_recorded != facts.machine_id_now;
  const bool key =
      !facts.host_key_recorded.empty() && facts.host_key_recorded != facts.host_key_now;
  if (machine || key) {
    blockers.push_back(blocker(
        "box_identity_changed", "",
        "the machine that answers as " + facts.box + " is not the one the runs were started on (" +
            (machine ? "machine id" : "host key") + " differs)",
        "ask the user which machine this is: rented addresses are recycled"));
  }
  for (const std::string& folder : facts.unknown_run_folders) {
    blockers.push_back(blocker("unknown_run_folder", "",
                               "the box holds the run folder " + clean_line(folder, 80) +
                                   ", which this ledger does not know",
                               "ask the user whose run it is; it must be pulled "
                               "or removed by a person first"));
  }
  if (facts.runs.empty()) {
    blockers.push_back(
        blocker("no_runs_known", "",
                "the ledger knows no run on " + facts.box + ", so what must be kept is not known",
                "rgt can prove nothing here; the user may stop "
                "the box by hand"));
  }
}

bool check_ended(const RunFacts& run, std::vector<Blocker>& blockers) {
  if (run.ended_on_box == Seen::no) {
    blockers.push_back(blocker("run_not_ended", run.run, "run " + run.run + " is alive on the box",
                               "wait for its end", "probe", run_argument(run.run)));
    return false;
  }
  const bool abandoned = run.state == RunState::abandoned;
  if (run.ended_on_box == Seen::unknown || (!abandoned && run.state != RunState::ended)) {
    blockers.push_back(blocker(
        "run_state_unknown", run.run,
        "it is not known whether run " + run.run + " has ended (the ledger says " +
            std::string(run_state_name(run.state)) + ")",
        "look at it; a run that never started can be abandoned by the user: rgt abandon " + run.run,
        "probe", run_argument(run.run)));
    return false;
  }
  return true;
}

const EvidenceRecord* evidence_for(const RunFacts& run, const ManifestEntry& entry) {
  for (const EvidenceRecord& row : run.evidence) {
    if (row.cell == entry.cell && row.path == entry.path) return &row;
  }
  return nullptr;
}

bool local_equal(const RunFacts& run, const ManifestEntry& entry) {
  return std::any_of(run.local.begin(), run.local.end(), [&](const RunFacts::LocalCheck& check) {
    return check.cell == entry.cell && check.path == entry.path && check.equal;
  });
}

// True if this one artifact is proven; otherwise adds why not.
bool check_artifact_facts(const RunFacts& run, const ManifestEntry& entry,
                          std::vector<Blocker>& blockers) {
  const std::string name = name_of(entry);
  if (!entry.present) {
    blockers.push_back(blocker(
        "artifact_missing", run.run, "expected artifact " + name + " is not on the box",
        "find out why it was not written; resume the cell or ask the user to abandon the run",
        "probe", run_argument(run.run)));
    return false;
  }
  const EvidenceRecord* evidence = evidence_for(run, entry);
  if (evidence == nullptr) {
    blockers.push_back(
        verify_first("artifact_unproven", run, "artifact " + name + " was never verified"));
    return false;
  }
  if (evidence->sha256 != entry.sha256 || evidence->size != entry.size || entry.sha256.empty()) {
    blockers.push_back(verify_first(
        "evidence_stale", run, "artifact " + name + " changed on the box after it was verified"));
    return false;
  }
  if (evidence->verdict != "ok") {
    blockers.push_back(
        verify_first("artifact_bad", run,
                     "artifact " + name + " did not verify: " + clean_line(evidence->verdict, 40)));
    return false;
  }
  if (!local_equal(run, entry)) {
    blockers.push_back(
        verify_first("local_changed", run,
                     "the local copy of " + name + " is gone or changed since it was verified"));
    return false;
  }
  return true;
}

void check_artifacts(const RunFacts& run, GateDecision& decision) {
  if (!run.manifest_fresh) {
    decision.blockers.push_back(blocker(
        "manifest_missing", run.run, "no manifest of run " + run.run + " could be taken just now",
        "look at the run", "probe", run_argument(run.run)));
    return;
  }
  if (run.manifest.entries.empty()) {
    decision.blockers.push_back(
        blocker("nothing_expected", run.run,
                "run " + run.run + " names no artifacts, so nothing of it can be proven",
                "the user may abandon the run in their terminal: rgt abandon " + run.run));
    return;
  }
  for (const ManifestEntry& entry : run.manifest.entries) {
    ++decision.artifacts_expected;
    if (check_artifact_facts(run, entry, decision.blockers)) ++decision.artifacts_proven;
  }
  for (const std::string& path : run.manifest.unexpected)
    decision.would_be_lost.push_back(run.run + ": " + path);
  if (run.manifest.unexpected_truncated)
    decision.would_be_lost.push_back(run.run + ": and more files that are not listed");
}

// Sorted, and each field with its length in front: the order of facts must not matter, their bytes
// must.
std::string digest_of(const GateFacts& facts) {
  std::vector<std::string> lines;
  const auto line = [](std::initializer_list<std::string> fields) {
    std::string text;
    for (const std::string& field : fields) text += std::to_string(field.size()) + ":" + field;
    return text;
  };
  for (const RunFacts& run : facts.runs) {
    lines.push_back(line({"run", run.run, std::string(run_state_name(run.state))}));
    if (run.state == RunState::abandoned) continue;
    for (const ManifestEntry& entry : run.manifest.entries) {
      lines.push_back(line(
          {"artifact", run.run, entry.cell, entry.path, std::to_string(entry.size), entry.sha256}));
    }
    for (const std::string& lost : run.manifest.unexpected)
      lines.push_back(line({"lost", run.run, lost}));
  }
  std::sort(lines.begin(), lines.end());
  lines.insert(lines.begin(), line({"box", facts.box, facts.machine_id_now, facts.host_key_now}));
  Sha256 hash;
  for (const std::string& text : lines) {
    const std::string framed = line({text});
    hash.update(framed.data(), framed.size());
  }
  return hash.finish();
}

}  // namespace

GateDecision evaluate_gate(const GateFacts& facts) {
  GateDecision decision;
  check_box(facts, decision.blockers);
  for (const RunFacts& run : facts.runs) {
    if (!check_ended(run, decision.blockers)) continue;
    if (run.state != RunState::abandoned) check_artifacts(run, decision);
  }
  // All runs abandoned, or none: there is no evidence of anything, and no evidence is no
  // permission.
  if (decision.blockers.empty() && decision.artifacts_expected == 0) {
    decision.blockers.push_back(
        blocker("nothing_expected", "",
                "nothing on " + facts.box + " was expected to be kept, so rgt can prove nothing",
                "the user may stop the box by hand"));
  }
  decision.may_ask_human =
      decision.blockers.empty() && decision.artifacts_proven == decision.artifacts_expected;
  if (decision.may_ask_human) decision.evidence_digest = digest_of(facts);
  return decision;
}

bool channel_may_approve(ApprovalChannel channel, const TeardownAction& action,
                         const PersonPolicy& policy) {
  if (channel == ApprovalChannel::terminal || action.done_by_human || !action.irreversible)
    return true;
  return policy.form_approves_irreversible;
}

bool typed_answer_approves(std::string_view typed, std::string_view box) {
  return !box.empty() && trim(typed) == box;
}

}  // namespace rgt
