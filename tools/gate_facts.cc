// SPDX-License-Identifier: MIT
#include "tools/gate_facts.h"

#include <algorithm>
#include <set>

#include "core/base/digest.h"
#include "core/box/run_folder.h"
#include "tools/pull_run.h"
#include "tools/runs_seen.h"

namespace rgt {
namespace {

constexpr Milliseconds kManifestTimeout = std::chrono::hours(1);  // as in verify_artifacts

Seen ended_on_box(const RunReading& reading) {
  if (!reading.folder_exists) return Seen::unknown;
  bool unknown = reading.supervisor == Life::unknown;
  if (reading.supervisor == Life::running) return Seen::no;
  for (const CellReading& cell : reading.cells) {
    if (cell.life == Life::running) return Seen::no;
    unknown = unknown || cell.life == Life::unknown;
  }
  return unknown ? Seen::unknown : Seen::yes;
}

std::vector<RunFacts::LocalCheck> check_local(const std::vector<EvidenceRecord>& evidence,
                                              const Call& call) {
  std::vector<RunFacts::LocalCheck> checks;
  for (const EvidenceRecord& row : evidence) {
    const auto digest = sha256_file(row.local_path, call.stop);
    checks.push_back({row.cell, row.path, digest.ok() && *digest == row.sha256});
    call.report(static_cast<double>(checks.size()), static_cast<double>(evidence.size()),
                "hashing the local copies again");
  }
  return checks;
}

void add_manifest(Environment& environment, Shell& shell, const RunLook& look, const Call& call,
                  RunFacts& run, std::vector<std::string>& trouble) {
  auto manifest = take_manifest(shell, look.record.folder, look.job, kManifestTimeout, call.stop,
                                places_that_are_lost(environment, look.record, look.job));
  if (!manifest) {
    trouble.push_back("no manifest of " + run.run + ": " + manifest.error().message);
    return;
  }
  run.manifest = std::move(*manifest);
  run.manifest_fresh = true;
  if (run.manifest.run_live) run.ended_on_box = Seen::no;
}

// The names of all run folders on the box. Those that another ledger (or a lost one) started are
// unknown: nobody here can vouch for them.
std::set<std::string> list_folders(Shell& shell, const std::vector<RunRecord>& records,
                                   const Call& call, GatheredFacts& gathered) {
  std::set<std::string> roots{""};
  std::set<std::string> known;
  std::set<std::string> present;
  for (const RunRecord& record : records) {
    known.insert(record.run);
    if (const auto job = parse_job(record.spec)) roots.insert(job->run_root);
  }
  for (const std::string& root : roots) {
    const auto folders = list_run_folders(shell, root, call.stop);
    if (!folders) {
      gathered.trouble.push_back("cannot list run folders: " + folders.error().message);
      gathered.facts.reachable = Seen::unknown;
      continue;
    }
    for (const std::string& folder : *folders) {
      present.insert(folder);
      if (!known.contains(folder)) gathered.facts.unknown_run_folders.push_back(folder);
    }
  }
  return present;
}

}  // namespace

Result<GatheredFacts> gather_gate_facts(Environment& environment, const std::string& box,
                                        const Call& call) {
  auto all = environment.ledger->runs();
  if (!all) return all.error();
  std::vector<RunRecord> records;
  std::vector<RunRecord> to_look_at;
  for (const RunRecord& record : *all) {
    if (record.box != box) continue;
    records.push_back(record);
    if (!record.folder.empty()) to_look_at.push_back(record);
  }
  auto shell = environment.boxes.shell(box);
  if (!shell) return shell.error();

  GatheredFacts gathered;
  gathered.facts.box = box;
  call.report(0, 1, "looking at " + box);
  BoxLook look = look_at_box(environment, box, to_look_at, call);
  gathered.facts.reachable = look.reading.ok() ? Seen::yes : Seen::no;
  if (!look.reading) gathered.trouble.push_back(look.reading.error().message);
  std::set<std::string> folders;
  if (look.reading) {
    gathered.facts.machine_id_now = look.reading->machine_id;
    gathered.facts.host_key_now = look.host_key;
    folders = list_folders(**shell, records, call, gathered);
  }
  for (const RunRecord& record : records) {
    RunFacts run;
    run.run = record.run;
    run.state = record.state;
    const auto evidence = environment.ledger->evidence(record.run);
    if (evidence) run.evidence = *evidence;
    run.local = check_local(run.evidence, call);
    if (gathered.facts.machine_id_recorded.empty() && !record.machine_id.empty()) {
      gathered.facts.machine_id_recorded = record.machine_id;
      gathered.facts.host_key_recorded = record.host_key;
    }
    // Its launch was never confirmed, and the box has no folder of it: it never began.
    const bool never_began = record.folder.empty() && !folders.contains(record.run);
    if (never_began && gathered.facts.reachable == Seen::yes) run.ended_on_box = Seen::yes;
    const auto seen =
        std::find_if(look.runs.begin(), look.runs.end(),
                     [&](const RunLook& candidate) { return candidate.record.run == record.run; });
    if (seen != look.runs.end()) {
      run.ended_on_box = ended_on_box(seen->reading);
      // The look may just have found the end; the state of a moment ago would be a stale fact.
      if (run.state == RunState::running && seen->assessment.ended) run.state = RunState::ended;
      if (record.state != RunState::abandoned) {
        add_manifest(environment, **shell, *seen, call, run, gathered.trouble);
      }
    }
    gathered.facts.runs.push_back(std::move(run));
  }
  return gathered;
}

}  // namespace rgt
