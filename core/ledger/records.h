// SPDX-License-Identifier: MIT
// What the ledger remembers, as plain data. JSON-carrying fields are text, so that the ledger
// stores exactly what it was given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/triage/verdict.h"

namespace rgt {

// One line of the append-only truth.
struct Event {
  std::int64_t sequence = 0;  // 1.. without gaps
  Time at = {};
  std::string kind = {};      // "run_claimed", "run_started", "tick", ... listed in LEDGER.md
  std::string run = {};       // may be empty
  std::string box = {};       // may be empty
  std::string body = {};      // JSON object text
  std::string previous = {};  // hash of the event before; 64 zeros for the first
  std::string hash = {};      // sha256 over sequence, at, kind, run, box, body, previous
};

enum class RunState { launching, running, ended, abandoned };
std::string_view run_state_name(RunState state);

struct RunRecord {
  std::string run = {};  // the handle: unique in a ledger
  std::string box = {};
  std::string profile = {};
  std::string spec = {};  // canonical_job text
  std::string spec_digest = {};
  RunState state = RunState::launching;
  std::string folder = {};  // on the box; empty until started
  std::string detach = {};
  std::string machine_id = {};  // of the box it runs on
  std::string host_key = {};
  Time created = {};
  Time started = {};    // epoch 0 until started
  Time last_look = {};  // epoch 0 until looked at
  std::string last_verdict = {};
  std::string last_summary = {};
  std::string manifest_digest = {};  // of the newest manifest; empty until one was taken
};

struct EvidenceRecord {
  std::string run = {}, cell = {}, path = {};  // path as in the manifest
  std::string local_path = {};                 // absolute, on this machine
  std::uint64_t size = 0;
  std::string sha256 = {};           // the manifest's digest, equal to the local one when ok
  std::string manifest_digest = {};  // the manifest it was proven against
  std::string format = {}, reader = {}, depth = {};
  std::string verdict = {};   // artifact_verdict_name, or "missing", "digest_mismatch"
  std::string findings = {};  // JSON array text
  Time at = {};
};

enum class RequestState { blocked, waiting, approved, used, denied, expired };
std::string_view request_state_name(RequestState state);

struct TeardownRecord {
  std::string request = {};  // handle, "td-" + 12 hex
  std::string box = {};
  std::string action = {};  // "stop", "release", "terminate", "hand_over"
  std::string verb = {};    // what exactly will be done or handed over
  bool irreversible = true;
  std::string evidence_digest = {};  // what the approval is bound to
  RequestState state = RequestState::blocked;
  std::string channel = {};   // "terminal", "form"; empty until approved
  std::string approver = {};  // user name on the terminal, client name for a form
  Time created = {};
  Time expires = {};         // of the approval; epoch 0 until approved
  std::string outcome = {};  // after use: what was done or handed over
};

}  // namespace rgt
