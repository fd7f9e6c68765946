// SPDX-License-Identifier: MIT
// The ledger: what happened, kept so that kill -9 loses nothing acknowledged and two rgt processes
// cannot disagree. SQLite, WAL, synchronous=FULL. Append-only hash-chained events are the truth;
// the tables are views of them, written in the same transaction and rebuildable (LEDGER.md).
// Thread-safety: every method may be called from any thread and any process; each is one
// transaction.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/ledger/records.h"

namespace rgt {

enum class Claim {
  created,
  same,
  taken_over
};  // taken_over: same spec, an earlier launch died midway

struct ClaimResult {
  Claim claim = Claim::created;
  RunRecord run = {};
};

struct ChainReport {
  std::int64_t events = 0;
  bool intact = true;
  std::int64_t first_bad = 0;  // sequence of the first event that does not fit; 0 if intact
  std::string why = {};
};

class Ledger {
 public:
  // Opens or creates `directory`/ledger.sqlite3 (folder 0700, file 0600). Errors: io (with errno's
  // words: disk full, permission), corrupt (not a database, or a newer schema version: says which).
  static Result<std::unique_ptr<Ledger>> open(const std::filesystem::path& directory);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // --- runs
  // Writes the intent before anything happens on a box. Same name + same digest: `same`. Same name
  // + another digest: Code::conflict, with both digests in the message. Two processes claiming at
  // once: exactly one gets `created`.
  Result<ClaimResult> claim_run(const RunRecord& run, Time now);
  Result<void> run_started(const std::string& run, const std::string& folder,
                           const std::string& detach, const std::string& machine_id,
                           const std::string& host_key, bool resumed, Time now);
  // A look was taken: keeps verdict, summary and the per-cell memory; state becomes `ended` when
  // assessment.ended and goes back to `running` when not.
  Result<void> run_looked_at(const RunAssessment& assessment, Time now);
  Result<void> run_abandoned(const std::string& run, const std::string& by, Time now);
  Result<std::optional<RunRecord>> find_run(const std::string& run);
  Result<std::vector<RunRecord>> runs();  // oldest first
  Result<std::vector<CellMemory>> cell_memory(const std::string& run);

  // --- evidence
  Result<void> manifest_taken(const std::string& run, const std::string& manifest_digest,
                              const std::string& manifest_json, Time now);
  Result<std::optional<std::string>> manifest_json(const std::string& run);  // the newest
  Result<void> artifacts_checked(const std::vector<EvidenceRecord>& evidence, Time now);
  Result<std::vector<EvidenceRecord>> evidence(const std::string& run);  // newest per cell and path

  // --- teardown
  Result<void> teardown_requested(const TeardownRecord& request,
                                  Time now);  // state blocked or waiting
  // waiting -> approved, once; expires = now + lifetime. refused if the request is not waiting or
  // its evidence digest is not `evidence_digest`.
  Result<TeardownRecord> approve(const std::string& request, const std::string& evidence_digest,
                                 const std::string& channel, const std::string& approver,
                                 Seconds lifetime, Time now);
  Result<void> deny(const std::string& request, const std::string& channel, Time now);
  // approved -> used, atomically, exactly once. refused when not approved, expired, used before, or
  // bound to another evidence digest. The caller acts only after ok.
  Result<TeardownRecord> use_approval(const std::string& request,
                                      const std::string& evidence_digest, Time now);
  Result<void> teardown_done(const std::string& request, const std::string& outcome, Time now);
  Result<std::optional<TeardownRecord>> find_teardown(const std::string& request);
  Result<std::vector<TeardownRecord>> teardowns(const std::string& box);  // newest first

  // --- boxes
  Result<void> box_seen(const std::string& box, const std::string& profile,
                        const std::string& machine_id, const std::string& host_key, Time now);
  struct BoxRecord {
    std::string box = {}, profile = {}, machine_id = {}, host_key = {};
    Time first_seen = {}, last_seen = {};
  };
  Result<std::optional<BoxRecord>> find_box(const std::string& box);
  Result<std::vector<BoxRecord>> boxes();

  // --- the truth itself
  Result<std::vector<Event>> events(std::int64_t after, std::size_t limit);
  Result<std::int64_t> newest_event();  // its sequence; 0 when there is none
  Result<std::vector<Event>> events_of_run(const std::string& run, std::size_t newest);
  Result<ChainReport> verify_chain();
  Result<void> rebuild_views();  // drops the views and derives them again from the events

 private:
  struct Database;
  explicit Ledger(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace rgt
