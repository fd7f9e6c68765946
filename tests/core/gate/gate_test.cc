// SPDX-License-Identifier: MIT
// The gate over every combination of facts, against one sentence: it opens only if all are good.
#include "core/gate/gate.h"

#include <catch2/catch.hpp>

namespace rgt {
namespace {

ManifestEntry entry(const std::string& path) { return {"c", path, true, 10, "sha-" + path, 5}; }
EvidenceRecord evidence(const std::string& path) {
  return {.run = "r",
          .cell = "c",
          .path = path,
          .local_path = "/l/" + path,
          .size = 10,
          .sha256 = "sha-" + path,
          .verdict = "ok"};
}

RunFacts good_run(const std::string& name) {
  RunFacts run;
  run.run = name;
  run.state = RunState::ended;
  run.ended_on_box = Seen::yes;
  run.manifest_fresh = true;
  run.manifest.run = name;
  run.manifest.entries = {entry("a.pt"), entry("b.json")};
  run.evidence = {evidence("a.pt"), evidence("b.json")};
  run.local = {{"c", "a.pt", true}, {"c", "b.json", true}};
  return run;
}

GateFacts good() {
  GateFacts facts;
  facts.box = "box";
  facts.reachable = Seen::yes;
  facts.machine_id_recorded = facts.machine_id_now = "m";
  facts.host_key_recorded = facts.host_key_now = "k";
  facts.runs = {good_run("r"), good_run("s")};
  return facts;
}

struct Fault {
  const char* blocker;
  void (*make)(GateFacts&);
};

const std::vector<Fault>& faults() {
  static const std::vector<Fault> list{
      {"box_unreachable", [](GateFacts& f) { f.reachable = Seen::no; }},
      {"box_unreachable", [](GateFacts& f) { f.reachable = Seen::unknown; }},
      {"box_identity_changed", [](GateFacts& f) { f.machine_id_now = "other"; }},
      {"box_identity_changed", [](GateFacts& f) { f.host_key_now = ""; }},
      {"unknown_run_folder", [](GateFacts& f) { f.unknown_run_folders = {"x"}; }},
      {"run_not_ended", [](GateFacts& f) { f.runs[0].ended_on_box = Seen::no; }},
      {"run_state_unknown", [](GateFacts& f) { f.runs[0].ended_on_box = Seen::unknown; }},
      {"run_state_unknown", [](GateFacts& f) { f.runs[1].state = RunState::running; }},
      {"run_state_unknown", [](GateFacts& f) { f.runs[1].state = RunState::launching; }},
      {"manifest_missing", [](GateFacts& f) { f.runs[0].manifest_fresh = false; }},
      {"nothing_expected", [](GateFacts& f) { f.runs[1].manifest.entries.clear(); }},
      {"artifact_missing", [](GateFacts& f) { f.runs[0].manifest.entries[0].present = false; }},
      {"artifact_unproven", [](GateFacts& f) { f.runs[0].evidence.pop_back(); }},
      {"artifact_bad", [](GateFacts& f) { f.runs[0].evidence[0].verdict = "unverified"; }},
      {"artifact_bad", [](GateFacts& f) { f.runs[0].evidence[0].verdict = "OK"; }},
      {"evidence_stale", [](GateFacts& f) { f.runs[0].manifest.entries[1].sha256 = "new"; }},
      {"evidence_stale", [](GateFacts& f) { f.runs[0].manifest.entries[1].size = 11; }},
      {"local_changed", [](GateFacts& f) { f.runs[1].local[0].equal = false; }},
      {"local_changed", [](GateFacts& f) { f.runs[1].local.clear(); }}};
  return list;
}

}  // namespace

TEST_CASE(
    "With every fact good the gate lets a human be asked, and only then has an evidence digest") {
  const GateDecision decision = evaluate_gate(good());
  CHECK(decision.may_ask_human);
  CHECK(decision.blockers.empty());
  CHECK(decision.artifacts_expected == 4);
  CHECK(decision.artifacts_proven == 4);
  CHECK(decision.evidence_digest.size() == 64);
}

TEST_CASE("Each single fault closes the gate, names itself and says the step that opens it") {
  for (const Fault& fault : faults()) {
    GateFacts facts = good();
    fault.make(facts);
    const GateDecision decision = evaluate_gate(facts);
    INFO(fault.blocker);
    CHECK_FALSE(decision.may_ask_human);
    CHECK(decision.evidence_digest.empty());
    REQUIRE_FALSE(decision.blockers.empty());
    CHECK(decision.blockers[0].id == fault.blocker);
    CHECK_FALSE(decision.blockers[0].unblock.empty());
  }
}

TEST_CASE("Any two faults together close the gate") {
  for (const Fault& first : faults()) {
    for (const Fault& second : faults()) {
      GateFacts facts = good();
      first.make(facts);
      if (facts.runs[0].evidence.size() < 2 || facts.runs[1].local.empty() ||
          facts.runs[1].manifest.entries.empty())
        continue;
      second.make(facts);
      CHECK_FALSE(evaluate_gate(facts).may_ask_human);
    }
  }
}

TEST_CASE("No runs, or none with anything to prove, is no evidence and so no permission") {
  GateFacts none = good();
  none.runs.clear();
  CHECK_FALSE(evaluate_gate(none).may_ask_human);
  GateFacts abandoned = good();
  for (RunFacts& run : abandoned.runs) run.state = RunState::abandoned;
  CHECK_FALSE(evaluate_gate(abandoned).may_ask_human);
  CHECK_FALSE(evaluate_gate(GateFacts{}).may_ask_human);
}

TEST_CASE("An abandoned run needs no artifacts, but must be dead on the box") {
  GateFacts facts = good();
  facts.runs[1].state = RunState::abandoned;
  facts.runs[1].evidence.clear();
  facts.runs[1].manifest_fresh = false;
  CHECK(evaluate_gate(facts).may_ask_human);
  facts.runs[1].ended_on_box = Seen::no;
  CHECK_FALSE(evaluate_gate(facts).may_ask_human);
}

TEST_CASE("The evidence digest changes with every proven fact and with nothing else") {
  const std::string digest = evaluate_gate(good()).evidence_digest;
  const auto changed = [&](void (*change)(GateFacts&)) {
    GateFacts facts = good();
    change(facts);
    const GateDecision decision = evaluate_gate(facts);
    REQUIRE(decision.may_ask_human);
    return decision.evidence_digest != digest;
  };
  CHECK(changed([](GateFacts& f) { f.box = "box2"; }));
  CHECK(changed([](GateFacts& f) { f.machine_id_recorded = f.machine_id_now = "m2"; }));
  CHECK(changed([](GateFacts& f) { f.host_key_recorded = f.host_key_now = "k2"; }));
  CHECK(changed([](GateFacts& f) {
    f.runs[0].manifest.entries[0].sha256 = f.runs[0].evidence[0].sha256 = "x";
  }));
  CHECK(changed([](GateFacts& f) { f.runs.pop_back(); }));
  CHECK(changed([](GateFacts& f) { f.runs[0].manifest.unexpected = {"c/extra.pt"}; }));
  CHECK_FALSE(changed([](GateFacts& f) { std::swap(f.runs[0], f.runs[1]); }));
  CHECK_FALSE(changed([](GateFacts& f) {
    std::swap(f.runs[0].manifest.entries[0], f.runs[0].manifest.entries[1]);
  }));
}

TEST_CASE(
    "A form alone never approves what rgt would do irreversibly, unless the person's policy says "
    "so") {
  const TeardownAction handed{"hand_over", true, true};
  const TeardownAction terminate{"terminate", true, false};
  const TeardownAction stop{"stop", false, false};
  CHECK(channel_may_approve(ApprovalChannel::form, handed, {}));
  CHECK_FALSE(channel_may_approve(ApprovalChannel::form, terminate, {}));
  CHECK(channel_may_approve(ApprovalChannel::form, stop, {}));
  CHECK(channel_may_approve(ApprovalChannel::terminal, terminate, {}));
  CHECK(
      channel_may_approve(ApprovalChannel::form, terminate, {.form_approves_irreversible = true}));
}

TEST_CASE("Only the box's own name approves") {
  CHECK(typed_answer_approves("gpu-7", "gpu-7"));
  CHECK(typed_answer_approves("  gpu-7\n", "gpu-7"));
  for (const char* typed : {"", " ", "yes", "GPU-7", "gpu-77", "gpu-7 yes", "true"})
    CHECK_FALSE(typed_answer_approves(typed, "gpu-7"));
  CHECK_FALSE(typed_answer_approves("", ""));
}

}  // namespace rgt
