// SPDX-License-Identifier: MIT
// verify_artifacts: manifest on the box, pull, then load every artifact here. "OK N/N, errors 0"
// only when N is the expected count and N > 0. A local copy that differs is reported, not quietly
// replaced.
#include "tools/verify_artifacts.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "core/artifact/bundle.h"
#include "core/artifact/metrics_table.h"
#include "core/artifact/reader.h"
#include "core/base/file_lock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/manifest.h"
#include "tools/pull_run.h"
#include "tools/report.h"
#include "tools/reported_steps.h"
#include "tools/runs_seen.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// Hashing on the box runs at hundreds of MB/s; an hour covers more than a terabyte of checkpoints.
constexpr Milliseconds kManifestTimeout = std::chrono::hours(1);
constexpr std::size_t kFindingsPerArtifact = 5;  // in the result; the ledger keeps them all

Card card() {
  return Card{"verify_artifacts",
              "Pull and prove artifacts",
              "Phase 5: after a run ended, hash every expected artifact on the box, pull it (a cut "
              "pull goes on), and load each here without executing anything: structure, checksums, "
              "tensor values, checkpoint folders as a whole. Only `OK N/N, errors 0` with N = the "
              "expected count opens the way to a teardown. {repull:true} fetches a local copy that "
              "differs again.",
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
                             {"metrics", {{"type", "array"}}},
                             {"folder", {{"type", "string"}}}},
                            {"run"}),
              Annotations{.read_only = false, .destructive = false, .idempotent = true},
              true};  // hours for a large set over a slow link
}

void judge(ArtifactItem& item, const Call& call) {
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
  auto checked = check_artifact(item.here(), CheckOptions{}, call.stop);
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

// Judges what is not judged yet. What came and equals the manifest goes to its place, whatever a
// reader makes of it: those are the box's bytes.
Result<void> judge_all(const fs::path& root, const std::string& run,
                       std::vector<ArtifactItem>& items, const Call& call) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    ArtifactItem& item = items[i];
    if (!item.verdict.empty()) continue;
    call.report(static_cast<double>(i), static_cast<double>(items.size()),
                "loading " + item.entry.cell + "/" + clean_line(item.entry.path, 120));
    judge(item, call);
    if (call.stop.stop_requested()) return Error{Code::cancelled, "stopped while verifying", ""};
    const bool came = item.wanted && item.report.sha256 == item.entry.sha256;
    if (!came) continue;
    if (auto settled = settle(root, run, item); !settled) return settled;
  }
  return {};
}

// What came with other bytes (an older version's first part lay here, or the file changed while it
// was pulled) is compared with the box once more.
bool ask_again(std::vector<ArtifactItem>& items) {
  bool any = false;
  for (ArtifactItem& item : items) {
    if (!item.wanted || item.verdict != "digest_mismatch") continue;
    item.verdict.clear();
    item.report = {};
    item.by_difference = true;
    any = true;
  }
  return any;
}

// Bytes that nobody can vouch for must not be the beginning of the next pull.
void drop_wrong(std::vector<ArtifactItem>& items) {
  for (ArtifactItem& item : items) {
    if (!item.wanted || item.verdict != "digest_mismatch") continue;
    std::error_code ignored;
    fs::remove(item.incoming, ignored);
    item.wanted = false;
  }
}

// Whether the files are whole checkpoints together; the gate asks for files, so each takes its
// set's verdict. Only what came here as the manifest has it counts.
Result<std::vector<ArtifactReport>> judge_sets_of(std::vector<ArtifactItem>& items,
                                                  const fs::path& root, const Call& call) {
  std::vector<ArtifactItem*> read;
  std::vector<ArtifactReport*> reports;
  for (ArtifactItem& item : items) {
    item.report.path = item.local.string();
    if (item.verdict != artifact_verdict_name(item.report.verdict) || item.report.format.empty())
      continue;
    read.push_back(&item);
    reports.push_back(&item.report);
  }
  auto sets = judge_sets(root, reports, call.stop);
  for (ArtifactItem* item : read) item->verdict = artifact_verdict_name(item->report.verdict);
  return sets;
}

Json findings_json(const ArtifactReport& report, std::size_t limit) {
  Json findings = Json::array();
  for (const Finding& finding : report.findings) {
    if (findings.size() == limit) break;
    findings.push_back(finding.what);
  }
  return findings;
}

EvidenceRecord to_evidence(const ArtifactItem& item, const RunRecord& run,
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

// Names of the box's files may be any bytes; JSON takes UTF-8 only.
std::string strings_json(const std::vector<std::string>& strings) {
  return Json(strings).dump(-1, ' ', false, Json::error_handler_t::replace);
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

void write_items(const std::vector<ArtifactItem>& items, Report& report) {
  Json rows = Json::array();
  for (const ArtifactItem& item : items) {
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

// The best of each cell, for a person who asks what came out of it all.
void write_metrics(const std::vector<ArtifactItem>& items, Report& report) {
  std::vector<CellMetrics> cells;
  for (const ArtifactItem& item : items) {
    if (item.verdict != "ok") continue;
    auto values = best_values_of(item.local, item.report.format);
    if (!values.empty()) cells.push_back({item.entry.cell, item.entry.path, std::move(values)});
  }
  const std::vector<TableRow> table = metrics_table(cells);
  if (table.empty()) return;
  Json rows = Json::array();
  for (const TableRow& row : table) {
    const BestValue& value = row.value;
    rows.push_back({{"cell", row.cell},
                    {"metric", value.metric},
                    {"better", better_name(value.better)},
                    {"best", value.best},
                    {"at", value.at},
                    {"last", value.last},
                    {"file", row.file}});
    const bool known = value.better != Better::unknown;
    std::array<char, 64> numbers{};
    std::snprintf(numbers.data(), numbers.size(), "%.6g", known ? value.best : value.last);
    std::string line = "result  " + row.cell + "  " + value.metric + " " + numbers.data();
    line += known ? " at " + value.at + " (best; " + std::string(better_name(value.better)) +
                        " is better)"
                  : " (last; which way is better is not known)";
    report.add_line(std::move(line));
  }
  report.field("metrics") = std::move(rows);
}

// How far each cell was by its log, and how far by what it left behind.
void write_steps(const std::vector<CellMemory>& memory, const std::vector<ArtifactItem>& items,
                 Report& report) {
  Json rows = Json::array();
  for (const ReportedSteps& cell : compare_steps(memory, items)) {
    rows.push_back({{"cell", cell.cell},
                    {"log", cell.log},
                    {"checkpoint", cell.checkpoint},
                    {"path", cell.path},
                    {"behind", cell.behind}});
    if (cell.behind) {
      report.add_line("behind  " + cell.cell + ": its log reached " + cell.log +
                      ", the newest checkpoint here is of " + cell.checkpoint + " (" +
                      clean_line(cell.path, 120) + "): what came after would be lost");
    }
  }
  if (!rows.empty()) report.field("steps") = std::move(rows);
}

// The job's list against the manifest against what lies here.
void reconcile(const RunRecord& run, const JobSpec& job, const fs::path& root,
               const std::vector<ArtifactItem>& items, Report& report) {
  std::size_t named = 0, on_box = 0, here = 0;
  for (const CellSpec& cell : job.cells) named += cell.artifacts.size();
  std::set<std::string> listed;
  for (const ArtifactItem& item : items) {
    listed.insert(item.entry.cell + "/" + item.entry.path);
    on_box += item.entry.present ? 1 : 0;
    here += item.entry.present && item.report.sha256 == item.entry.sha256 ? 1 : 0;
  }
  const auto beside = files_beside(root / run.run, listed, 20);
  report.field("reconciled") = {{"named", named},
                                {"files", items.size()},
                                {"on_box", on_box},
                                {"here", here},
                                {"only_here", Json::parse(strings_json(beside), nullptr, false)}};
  if (!beside.empty()) {
    report.add_line(
        "here, but not in the manifest: " + clean_line(beside[0], 200) +
        (beside.size() > 1 ? " and " + std::to_string(beside.size() - 1) + " more" : ""));
  }
}

// What a later reader needs to check this folder alone. A list that cannot be written proves less,
// not nothing.
void write_bundle(const RunRecord& run, const JobSpec& job, const fs::path& root,
                  const std::string& manifest_digest, const std::vector<ArtifactItem>& items,
                  Time now, Report& report) {
  Bundle bundle{.run = run.run,
                .tool = std::string("rgt ") + RGT_VERSION,
                .made = to_iso8601(now),
                .manifest_digest = manifest_digest};
  for (const CellSpec& cell : job.cells) bundle.cells.push_back(cell.name);
  for (const ArtifactItem& item : items) {
    bundle.files.push_back({item.entry.cell + "/" + item.entry.path, item.entry.size,
                            item.entry.sha256, item.report.format, item.report.reader,
                            std::string(depth_name(item.report.depth))});
  }
  const fs::path path = root / run.run / kBundleName;
  if (auto written = write_file_atomically(path, bundle_text(bundle), 0644); !written) {
    report.add_line("no list for handing the folder on: " + written.error().message);
    return;
  }
  report.field("bundle") = path.string();
  report.add_line("to hand it on: " + (root / run.run).string() +
                  "; whoever gets it: rgt verify --bundle FOLDER");
}

bool all_proven(const std::vector<ArtifactItem>& items) {
  return !items.empty() && std::all_of(items.begin(), items.end(), [](const ArtifactItem& item) {
    return item.verdict == "ok";
  });
}

void conclude(const RunRecord& run, const std::vector<ArtifactItem>& items,
              const Manifest& manifest, Report& report) {
  const auto count = [&](std::string_view verdict) {
    return std::count_if(items.begin(), items.end(),
                         [&](const ArtifactItem& item) { return item.verdict == verdict; });
  };
  const auto ok = count("ok");
  const auto expected = static_cast<std::ptrdiff_t>(items.size());
  const bool proven = all_proven(items);
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
        {"a file cannot be proven by loading: name provable files (safetensors, .pt, GGUF, npy, "
         "HDF5, "
         "ONNX, TF checkpoints with their index, metrics JSON or CSV) as artifacts",
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
  auto manifest = take_manifest(**shell, run->folder, *job, kManifestTimeout, call.stop,
                                places_that_are_lost(environment, *run, *job));
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

  const auto before = environment.ledger->evidence(run->run);
  auto items = plan_pull(*manifest, root, before ? *before : std::vector<EvidenceRecord>{},
                         flag_or(arguments, "repull", false), call);
  if (!items) return trouble(items.error());
  auto received = pull_items(environment, *run, *job, root, *items, call);
  if (!received) return trouble(received.error());
  if (auto judged = judge_all(root, run->run, *items, call); !judged)
    return trouble(judged.error());
  if (ask_again(*items)) {
    auto more = pull_items(environment, *run, *job, root, *items, call);
    if (!more) return trouble(more.error());
    *received += *more;
    if (auto judged = judge_all(root, run->run, *items, call); !judged)
      return trouble(judged.error());
    drop_wrong(*items);
  }
  clear_incoming(root, run->run, *items);
  const auto sets = judge_sets_of(*items, root / run->run, call);
  if (!sets) return trouble(sets.error());

  std::vector<EvidenceRecord> evidence;
  for (const ArtifactItem& item : *items)
    evidence.push_back(to_evidence(item, *run, digest, call.now));
  saved = environment.ledger->artifacts_checked(evidence, call.now);
  if (!saved) return trouble(saved.error());

  Report report(environment.handbook, "");
  report.field("run") = run->run;
  report.field("folder") = (root / run->run).string();
  report.field("bytes_received") = *received;
  write_items(*items, report);
  write_sets(*sets, root / run->run, report);
  write_metrics(*items, report);
  const auto memory = environment.ledger->cell_memory(run->run);
  if (memory) write_steps(*memory, *items, report);
  reconcile(*run, *job, root, *items, report);
  if (all_proven(*items)) write_bundle(*run, *job, root, digest, *items, call.now, report);
  conclude(*run, *items, *manifest, report);
  return report.finish();
}

}  // namespace

Tool verify_artifacts_tool(Environment& environment) {
  return {card(), [&environment](const Json& arguments, const Call& call) {
            return verify(environment, arguments, call);
          }};
}

}  // namespace rgt
