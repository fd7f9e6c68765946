// SPDX-License-Identifier: MIT
// verify_artifacts: manifest on the box, pull, then load every artifact here. "OK N/N, errors 0"
// only when N is the expected count and N > 0. A local copy that differs is reported, not quietly
// replaced.
#include "tools/verify_artifacts.h"

#include <algorithm>
#include <map>

#include "core/artifact/reader.h"
#include "core/base/digest.h"
#include "core/base/file_lock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/manifest.h"
#include "tools/report.h"
#include "tools/runs_seen.h"
#include "tools/verify_folders.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// Hashing on the box runs at hundreds of MB/s; an hour covers more than a terabyte of checkpoints.
constexpr Milliseconds kManifestTimeout = std::chrono::hours(1);
constexpr std::size_t kFindingsPerArtifact = 5;  // in the result; the ledger keeps them all

Card card() {
  return Card{"verify_artifacts",
              "Pull and prove artifacts",
              "Phase 5: after a run ended, take a SHA-256 manifest on the box, pull every expected "
              "artifact to "
              "this machine (resumable), and load each one here without executing anything: "
              "structure, record "
              "checksums, tensor values. Only `OK N/N, errors 0` with N = the expected count opens "
              "the way to a "
              "teardown. A local copy that differs from the manifest is reported; {repull:true} "
              "fetches it again.",
              input_schema(
                  {{"run", {{"type", "string"}, {"minLength", 1}}},
                   {"into",
                    {{"type", "string"},
                     {"pattern", "^/"},
                     {"description", "absolute local folder; default: rgt's own artifact folder"}}},
                   {"repull", {{"type", "boolean"}}}},
                  {"run"}),
              output_schema({{"run", {{"type", "string"}}},
                             {"ok", {{"type", "integer"}}},
                             {"expected", {{"type", "integer"}}},
                             {"errors", {{"type", "integer"}}},
                             {"artifacts", {{"type", "array"}, {"items", {{"type", "object"}}}}},
                             {"unexpected", {{"type", "array"}}},
                             {"folder", {{"type", "string"}}}},
                            {"run"}),
              Annotations{.read_only = false, .destructive = false, .idempotent = true},
              true};  // hours for a large set over a slow link
}

struct Item {
  ManifestEntry entry = {};
  fs::path local = {};
  bool wrong_before = false;  // a local file was there with other bytes than the manifest
  std::string verdict = {};   // artifact_verdict_name, "missing", "not_pulled", "digest_mismatch"
  ArtifactReport report = {};
  std::string local_digest = {};
};

// The folder that everything of one run lives in. Names are safe; manifest paths were checked.
fs::path local_path(const fs::path& root, const RunRecord& run, const ManifestEntry& entry) {
  return root / run.run / entry.cell / entry.path;
}

// Was exactly these bytes what an earlier manifest listed and a reader proved? Then the file is
// only old, not damaged, and may be replaced by the newer one.
bool is_older_version(const std::vector<EvidenceRecord>& evidence, const Item& item) {
  return std::any_of(evidence.begin(), evidence.end(), [&](const EvidenceRecord& row) {
    return row.cell == item.entry.cell && row.path == item.entry.path && row.verdict == "ok" &&
           row.sha256 == item.local_digest && row.sha256 != item.entry.sha256;
  });
}

struct PullPlan {
  std::map<std::string, std::vector<std::string>> paths_by_cell = {};
  bool by_checksum = false;  // some local file has the right size and the wrong bytes
  std::uint64_t bytes = 0;
};

Result<PullPlan> plan_pull(std::vector<Item>& items, const std::vector<EvidenceRecord>& evidence,
                           bool repull, const Call& call) {
  PullPlan plan;
  for (Item& item : items) {
    if (!item.entry.present) continue;
    std::error_code ignored;
    if (fs::is_regular_file(fs::symlink_status(item.local, ignored))) {
      auto digest = sha256_file(item.local, call.stop);
      if (!digest) return digest.error();
      item.local_digest = *digest;
      if (item.local_digest == item.entry.sha256) continue;
      const bool older = is_older_version(evidence, item);
      item.wrong_before = !older;
      if (!older && !repull) continue;
      plan.by_checksum = true;
    }
    plan.paths_by_cell[item.entry.cell].push_back(item.entry.path);
    plan.bytes += item.entry.size;
  }
  return plan;
}

Result<void> check_room(const fs::path& root, const PullPlan& plan) {
  const auto space = free_space(root);
  if (!space || space->bytes >= plan.bytes) return {};
  return Error{Code::io,
               "not enough room on this machine: " + human_bytes(plan.bytes) + " to pull, " +
                   human_bytes(space->bytes) + " free at " + root.string(),
               "free space there, or pass `into` with a folder on a larger disk"};
}

Result<std::uint64_t> pull(Environment& environment, const RunRecord& run, const JobSpec& job,
                           const fs::path& root, const PullPlan& plan, const Call& call) {
  std::uint64_t received = 0;
  if (plan.paths_by_cell.empty()) return received;
  if (auto room = check_room(root, plan); !room) return room.error();
  auto transfer = environment.boxes.transfer(run.box);
  if (!transfer) return transfer.error();
  for (const CellSpec& cell : job.cells) {
    const auto wanted = plan.paths_by_cell.find(cell.name);
    if (wanted == plan.paths_by_cell.end()) continue;
    PullRequest request;
    request.remote_root = write_path_of(cell, run.folder);
    request.paths = wanted->second;
    request.local_root = root / run.run / cell.name;
    request.by_checksum = plan.by_checksum;
    request.on_progress = [&](std::uint64_t bytes, double rate) {
      call.report(static_cast<double>(received + bytes), static_cast<double>(plan.bytes),
                  "pulled " + human_bytes(received + bytes) + " of " + human_bytes(plan.bytes) +
                      " at " + human_bytes(static_cast<std::uint64_t>(std::max(0.0, rate))) + "/s");
    };
    auto pulled = (*transfer)->pull(request, call.stop);
    if (!pulled) return pulled.error();
    received += pulled->bytes_received;
  }
  return received;
}

void judge(Item& item, const Call& call) {
  if (!item.entry.present) {
    item.verdict = "missing";
    if (!item.entry.leads_to.empty()) {
      item.report.findings.push_back(
          {Finding::Severity::error, "on the box it is a symbolic link to " + item.entry.leads_to +
                                         ", outside of the cell's write path, and is not followed: "
                                         "copy the file to where the "
                                         "link is, or make its folder the cell's write path"});
    }
    return;
  }
  auto checked = check_artifact(item.local, CheckOptions{}, call.stop);
  if (!checked) {
    item.verdict = checked.error().code == Code::not_found ? "not_pulled" : "unverified";
    item.report.findings.push_back({Finding::Severity::error, checked.error().message});
    return;
  }
  item.report = std::move(*checked);
  item.verdict = std::string(artifact_verdict_name(item.report.verdict));
  if (item.report.sha256 != item.entry.sha256) {
    item.verdict = "digest_mismatch";
    item.report.findings.insert(
        item.report.findings.begin(),
        {Finding::Severity::error, "the local bytes are not those on the box: sha256 " +
                                       item.report.sha256.substr(0, 12) + "... here, " +
                                       item.entry.sha256.substr(0, 12) + "... in the manifest"});
  }
}

Result<std::vector<ArtifactReport>> judge_sets_of(std::vector<Item>& items, const fs::path& root,
                                                  const Call& call) {
  std::vector<CheckedFile> files;
  for (Item& item : items) files.push_back({&item.report, &item.verdict});
  return judge_sets(root, files, call.stop);
}

Json findings_json(const ArtifactReport& report, std::size_t limit) {
  Json findings = Json::array();
  for (const Finding& finding : report.findings) {
    if (findings.size() == limit) break;
    findings.push_back(finding.what);
  }
  return findings;
}

EvidenceRecord to_evidence(const Item& item, const RunRecord& run,
                           const std::string& manifest_digest, Time now) {
  return EvidenceRecord{
      .run = run.run,
      .cell = item.entry.cell,
      .path = item.entry.path,
      .local_path = item.local.string(),
      .size = item.entry.size,
      .sha256 = item.entry.sha256,
      .manifest_digest = manifest_digest,
      .format = item.report.format,
      .reader = item.report.reader,
      .depth = std::string(depth_name(item.report.depth)),
      .verdict = item.verdict,
      .findings =
          findings_json(item.report, 50).dump(-1, ' ', false, Json::error_handler_t::replace),
      .at = now};
}

Json manifest_json(const Manifest& manifest) {
  Json entries = Json::array();
  for (const ManifestEntry& entry : manifest.entries) {
    entries.push_back({{"cell", entry.cell},
                       {"path", entry.path},
                       {"present", entry.present},
                       {"size", entry.size},
                       {"sha256", entry.sha256},
                       {"mtime", entry.mtime}});
  }
  return {
      {"run", manifest.run}, {"entries", std::move(entries)}, {"unexpected", manifest.unexpected}};
}

void write_items(const std::vector<Item>& items, Report& report) {
  Json rows = Json::array();
  for (const Item& item : items) {
    Json row{{"cell", item.entry.cell},      {"path", item.entry.path},
             {"verdict", item.verdict},      {"size", item.entry.size},
             {"format", item.report.format}, {"depth", depth_name(item.report.depth)},
             {"local", item.local.string()}};
    if (!item.report.findings.empty())
      row["findings"] = findings_json(item.report, kFindingsPerArtifact);
    rows.push_back(std::move(row));
    std::string line =
        item.verdict + "  " + item.entry.cell + "/" + clean_line(item.entry.path, 200);
    if (item.verdict == "ok") {
      line += "  " + item.report.format + ", checked to " +
              std::string(depth_name(item.report.depth)) + ", " + human_bytes(item.entry.size);
    } else if (!item.report.findings.empty()) {
      line += "  " + item.report.findings[0].what;
    }
    report.add_line(std::move(line));
  }
  report.field("artifacts") = std::move(rows);
}

// Checkpoints that are folders: what was found about each as a whole.
void write_sets(const std::vector<ArtifactReport>& sets, const fs::path& root, Report& report) {
  if (sets.empty()) return;
  Json rows = Json::array();
  for (const ArtifactReport& set : sets) {
    const std::string verdict(artifact_verdict_name(set.verdict));
    const std::string path = fs::path(set.path).lexically_relative(root).string();
    rows.push_back({{"path", path},
                    {"verdict", verdict},
                    {"format", set.format},
                    {"depth", depth_name(set.depth)},
                    {"findings", findings_json(set, kFindingsPerArtifact)}});
    report.add_line(verdict + "  " + clean_line(path, 200) + "/  " + set.format + ", as a whole");
  }
  report.field("folders") = std::move(rows);
}

void conclude(const RunRecord& run, const std::vector<Item>& items, const Manifest& manifest,
              Report& report) {
  const auto count = [&](std::string_view verdict) {
    return std::count_if(items.begin(), items.end(),
                         [&](const Item& item) { return item.verdict == verdict; });
  };
  const auto ok = count("ok");
  const auto expected = static_cast<std::ptrdiff_t>(items.size());
  const bool proven = expected > 0 && ok == expected;
  report.set_verdict(proven ? "proven" : expected == 0 ? "nothing_expected" : "not_proven");
  report.set_exit(proven ? Exit::fine : Exit::attention);
  const std::string counts = std::to_string(ok) + "/" + std::to_string(expected);
  report.set_summary(
      "Run " + run.run + ": " +
      (proven ? "OK " + counts + ", errors 0. Every artifact is here and loads."
       : expected == 0
           ? "NOT PROVEN: the job names no artifacts, so nothing can be verified."
           : "NOT PROVEN: " + counts + " ok, errors " + std::to_string(expected - ok) + "."));
  report.field("ok") = ok;
  report.field("expected") = expected;
  report.field("errors") = expected - ok;
  report.field("unexpected") = manifest.unexpected;
  for (const std::string& path : manifest.unexpected) {
    report.add_line("on the box, in no artifact list, lost at teardown: " + clean_line(path, 200));
  }
  if (proven) {
    report.add_next(
        {"when the user wants to stop paying, ask for the teardown; a person must approve it",
         "teardown_request",
         {{"box", run.box}}});
  }
  if (count("digest_mismatch") > 0 || count("not_pulled") > 0) {
    report.add_next({"the local copy is not what is on the box: fetch it again",
                     "verify_artifacts",
                     {{"run", run.run}, {"repull", true}}});
    report.cite({"U33"});
  }
  if (count("missing") > 0) {
    report.add_next(
        {"artifacts are missing on the box: the cell did not write what the job promised",
         "probe",
         {{"run", run.run}}});
  }
  if (count("corrupt") + count("incomplete") > 0) {
    report.add_next(
        {"a file is broken on the box itself (same bytes there): resume the cell so that it "
         "writes it again, or fall back to an earlier checkpoint",
         "probe",
         {{"run", run.run}}});
    report.cite({"U6", "C2"});
  }
  if (count("hostile") > 0) {
    report.add_next(
        {"tell the user: a file would run code when loaded. Do not load it", "", nullptr});
  }
  if (count("unverified") > 0) {
    report.add_next(
        {"a file's format cannot be proven by loading: name provable files (safetensors, .pt, "
         "metrics JSON or CSV) as artifacts",
         "", nullptr});
  }
}

ToolResult verify(Environment& environment, const Json& arguments, const Call& call) {
  const auto run = find_run(environment, text_or(arguments, "run"));
  if (!run) return usage_error(run.error());
  const auto job = parse_job(run->spec);
  require(job.ok(), "the ledger holds a job that does not parse");
  const Json named{{"run", run->run}};
  const auto trouble = [&](const Error& error) {
    return trouble_report(environment.handbook, error, named,
                          {{"nothing is lost by calling again: a pull goes on where it was cut",
                            "verify_artifacts", arguments}});
  };
  if (run->folder.empty()) {
    return usage_error(
        {Code::refused, "run " + run->run + " was never started: there is nothing to verify",
         "launch it again (safe), or have a person abandon it: rgt abandon " + run->run});
  }
  const fs::path root =
      arguments.contains("into") ? fs::path(text_or(arguments, "into")) : environment.artifact_root;
  auto lock = FileLock::try_take(root / (run->run + ".lock"));
  if (!lock) return trouble(lock.error());

  auto shell = environment.boxes.shell(run->box);
  if (!shell) return usage_error(shell.error());
  call.report(0, 1, "hashing on " + run->box);
  auto manifest = take_manifest(**shell, run->folder, *job, kManifestTimeout, call.stop);
  if (!manifest) return trouble(manifest.error());
  if (manifest->run_live) {
    Report report(environment.handbook, "still_running");
    report.set_summary("Run " + run->run + " is still running: what it writes now proves nothing.");
    report.set_exit(Exit::attention);
    report.field("run") = run->run;
    report.add_next({"wait for its end", "probe", named});
    return report.finish();
  }
  const std::string digest = manifest_digest(*manifest);
  auto saved = environment.ledger->manifest_taken(
      run->run, digest,
      manifest_json(*manifest).dump(-1, ' ', false, Json::error_handler_t::replace), call.now);
  if (!saved) return trouble(saved.error());

  std::vector<Item> items;
  for (const ManifestEntry& entry : manifest->entries) {
    items.push_back({.entry = entry, .local = local_path(root, *run, entry)});
  }
  const auto before = environment.ledger->evidence(run->run);
  auto plan = plan_pull(items, before ? *before : std::vector<EvidenceRecord>{},
                        flag_or(arguments, "repull", false), call);
  if (!plan) return trouble(plan.error());
  auto received = pull(environment, *run, *job, root, *plan, call);
  if (!received) return trouble(received.error());

  std::size_t judged = 0;
  for (Item& item : items) {
    call.report(static_cast<double>(judged), static_cast<double>(items.size()),
                "loading " + item.entry.cell + "/" + clean_line(item.entry.path, 120));
    judge(item, call);
    if (call.stop.stop_requested())
      return trouble({Code::cancelled, "stopped while verifying", ""});
    ++judged;
  }
  const auto sets = judge_sets_of(items, root / run->run, call);
  if (!sets) return trouble(sets.error());
  std::vector<EvidenceRecord> evidence;
  for (const Item& item : items) evidence.push_back(to_evidence(item, *run, digest, call.now));
  saved = environment.ledger->artifacts_checked(evidence, call.now);
  if (!saved) return trouble(saved.error());

  Report report(environment.handbook, "");
  report.field("run") = run->run;
  report.field("folder") = (root / run->run).string();
  report.field("bytes_received") = *received;
  write_items(items, report);
  write_sets(*sets, root / run->run, report);
  conclude(*run, items, *manifest, report);
  return report.finish();
}

}  // namespace

Tool verify_artifacts_tool(Environment& environment) {
  return {card(), [&environment](const Json& arguments, const Call& call) {
            return verify(environment, arguments, call);
          }};
}

}  // namespace rgt
