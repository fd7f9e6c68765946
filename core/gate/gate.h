// SPDX-License-Identifier: MIT
// The gate: may this box be torn down? A pure function from facts to a decision; every fact that is
// absent counts against. The one invariant: no action without complete evidence and one human's
// yes. Nothing here asks, acts or reads a clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/box/manifest.h"
#include "core/ledger/records.h"

namespace rgt {

enum class Seen { yes, no, unknown };

// Everything known about one run of the box, gathered at this moment.
struct RunFacts {
  std::string run = {};
  RunState state = RunState::launching;
  Seen ended_on_box = Seen::unknown;  // a fresh look: nothing of it is alive
  Manifest manifest = {};             // taken now; entries empty when it could not be taken
  bool manifest_fresh = false;        // taken during this very call
  std::vector<EvidenceRecord> evidence = {};
  // Per manifest entry that has evidence: does the local file's digest equal it right now?
  struct LocalCheck {
    std::string cell = {}, path = {};
    bool equal = false;
  };
  std::vector<LocalCheck> local = {};
};

struct GateFacts {
  std::string box = {};
  Seen reachable = Seen::unknown;
  std::string machine_id_recorded = {}, machine_id_now = {};
  std::string host_key_recorded = {}, host_key_now = {};
  std::vector<RunFacts> runs = {};                    // all runs the ledger knows on this box
  std::vector<std::string> unknown_run_folders = {};  // run folders on the box the ledger lacks
};

struct Blocker {
  std::string id = {};         // "run_not_ended", "artifact_missing", ... closed list in gate.cc
  std::string run = {};        // may be empty
  std::string message = {};    // what is wrong, measured
  std::string unblock = {};    // the single next step in words
  std::string tool = {};       // and as a tool call; empty when only a human can
  std::string arguments = {};  // JSON object text
};

struct GateDecision {
  bool may_ask_human = false;  // all evidence conditions hold
  std::vector<Blocker> blockers = {};
  std::size_t artifacts_expected = 0;
  std::size_t artifacts_proven = 0;
  std::vector<std::string> would_be_lost = {};  // unexpected files, by run: shown, not a blocker
  std::string evidence_digest = {};  // over box identity, runs and every proven artifact; an
                                     // approval is bound to it. Empty unless may_ask_human.
};

GateDecision evaluate_gate(const GateFacts& facts);

// --- approvals
enum class ApprovalChannel { terminal, form };
struct TeardownAction {
  std::string action = {};  // "hand_over", "stop", "terminate", ...
  bool irreversible = true;
  bool done_by_human = true;  // handed over: rgt itself performs nothing
};
struct PersonPolicy {  // from the person's policy file; defaults are the strict ones
  bool form_approves_irreversible = false;
};
// A form is enough for what rgt merely hands over; for an irreversible action that rgt performs it
// is not, unless the person's policy file says so. A terminal always is.
bool channel_may_approve(ApprovalChannel channel, const TeardownAction& action,
                         const PersonPolicy& policy);

// The typed answer must be the box's name, exactly (surrounding white space ignored).
bool typed_answer_approves(std::string_view typed, std::string_view box);

inline constexpr Seconds kApprovalLifetime =
    std::chrono::minutes(15);  // long enough to read, short
                               // enough that facts hold

}  // namespace rgt
