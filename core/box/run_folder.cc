// SPDX-License-Identifier: MIT
#include "core/box/run_folder.h"

#include <utility>

#include "core/base/digest.h"
#include "core/base/text.h"
#include "core/box/fields.h"
#include "core/box/onbox.h"

namespace rgt {
namespace {

constexpr std::size_t kScriptId = 12;          // hex digits of a script's digest in its folder
constexpr std::uint64_t kFullDisk = 1u << 20;  // bytes free below which a write may well fail
constexpr std::uint64_t kFewInodes = 16;       // free, below which a run's folder may not fit
constexpr std::size_t kMaxCells = 256;         // as in the job

using Files = std::vector<std::pair<std::string, std::string>>;  // path below rgt/, bytes

std::string cell_spec(const JobSpec& job, const CellSpec& cell) {
  std::string text = "write " + onbox_word(cell.write_path) + "\n";
  text += "directory " + onbox_word(job.directory) + "\n";
  for (const auto& [name, value] : cell.env) text += "env " + name + " " + onbox_word(value) + "\n";
  for (const std::string& path : cell.artifacts) text += "artifact " + onbox_word(path) + "\n";
  return text;
}

Files run_files(const JobSpec& job, const std::string& supervisor) {
  Files files = {
      {"supervise.sh", supervisor},
      {"job/spec.json", canonical_job(job) + "\n"},
      {"job/digest", job_digest(job) + "\n"},
      {"job/run", job.run + "\n"},
      {"job/settings", "parallel=" + std::to_string(job.parallel) +
                           " heartbeat_seconds=" + std::to_string(job.heartbeat_seconds) +
                           " secrets=" + std::to_string(job.secret_env.size()) + "\n"}};
  std::string queue;
  for (const CellSpec& cell : job.cells) {
    queue += cell.name + "\n";
    files.emplace_back("job/cells/" + cell.name + "/command", cell.command);
    files.emplace_back("job/cells/" + cell.name + "/spec", cell_spec(job, cell));
  }
  files.emplace_back("job/queue", queue);
  return files;
}

// The input of start.sh: secrets first, because they are read into memory before anything is
// stored.
std::string start_input(const JobSpec& job, const std::map<std::string, std::string>& secrets,
                        const Files& files) {
  std::string input = "secrets " + std::to_string(job.secret_env.size()) + "\n";
  for (const std::string& name : job.secret_env) {
    input += name + " " + onbox_word(secrets.at(name)) + "\n";
  }
  input += "files " + std::to_string(files.size()) + "\n";
  for (const auto& [path, bytes] : files) input += path + " " + std::to_string(bytes.size()) + "\n";
  for (const auto& file : files) input += file.second;
  return input;
}

Result<void> check_secrets(const JobSpec& job, const std::map<std::string, std::string>& secrets) {
  for (const std::string& name : job.secret_env) {
    const auto found = secrets.find(name);
    if (found == secrets.end()) {
      return Error{Code::invalid_argument, "the job's secret " + name + " has no value here",
                   "set " + name + " in the environment of the rgt process, then start again"};
    }
    if (found->second.find('\0') != std::string::npos) {
      return Error{Code::invalid_argument, "the value of the secret " + name + " holds a NUL byte",
                   "an environment variable cannot hold one: set it again"};
    }
  }
  return {};
}

Error problem_error(AnswerReader& answer, const JobSpec& job) {
  answer.take("problem", 2);
  const std::string code(answer.raw(0));
  std::string words = clean_line(answer.text(1), 500);
  answer.take("space", 3);
  const std::uint64_t bytes = answer.number(0);
  const std::uint64_t inodes = answer.number(1);
  const bool counts_inodes = answer.number(2) > 0;
  answer.take("end", 0);
  if (!answer.ok()) return answer.error();
  if (code == "conflict") {
    return Error{Code::conflict, words + " (this job: " + job_digest(job) + ")",
                 "give this job another run name, or launch the very job that the run was made of"};
  }
  if (code == "missing_tool") {
    return Error{Code::missing_tool, words, "install it on the box, or choose another `detach`"};
  }
  words += " (free there: " + human_bytes(bytes) + ", " +
           (counts_inodes ? std::to_string(inodes) + " inodes" : "inodes not counted") + ")";
  std::string next = "run `rgt audit` on the box, and mend what it shows";
  if (bytes < kFullDisk)
    next = "the disk is full: free space there or set run_root to another disk";
  if (counts_inodes && inodes < kFewInodes) {
    next = "the disk is out of inodes: remove small files there or set run_root to another disk";
  }
  return Error{Code::remote_failed, "the run was not started: " + words, next};
}

Error leftover_error(const std::string& cell, std::uint64_t group) {
  const std::string kill = "kill -9 -- -" + std::to_string(group);
  return Error{Code::refused,
               "cell " + cell + " has ended, but processes it started still live (group " +
                   std::to_string(group) + "): a new attempt beside them could ruin its files",
               "look at them on the box; end them with `" + kill + "`, then resume again"};
}

Result<StartReport> read_start(std::string_view text, const JobSpec& job) {
  AnswerReader answer(text, "rgt-start 1");
  if (answer.at("problem")) return problem_error(answer, job);
  StartReport report;
  answer.take("status", 1);
  report.started = answer.raw(0) == "started";
  if (!report.started && answer.raw(0) != "exists") answer.fail("started or exists");
  answer.take("folder", 1);
  report.folder = answer.text(0);
  if (report.folder.empty() || report.folder[0] != '/') answer.fail("an absolute folder");
  answer.take("detach", 1);
  report.detach = answer.raw(0) == "-" ? "" : clean_line(answer.raw(0), 16);
  answer.take("supervisor", 2);
  report.supervisor = std::to_string(answer.number(0)) + " " + std::to_string(answer.number(1));
  report.machine_id = read_machine_id(answer);
  while (answer.at("cell") && report.cells_started.size() < kMaxCells) {
    answer.take("cell", 1);
    report.cells_started.push_back(answer.name(0));
  }
  std::string leftover;
  std::uint64_t group = 0;
  while (answer.at("leftover")) {
    answer.take("leftover", 2);
    leftover = answer.name(0);
    group = answer.number(1);
  }
  answer.take("end", 0);
  if (!answer.ok()) return answer.error();
  if (!report.started && !leftover.empty()) return leftover_error(leftover, group);
  return report;
}

}  // namespace

Result<StartReport> start_run(Shell& shell, const JobSpec& job, bool resume,
                              const std::map<std::string, std::string>& secrets,
                              std::stop_token stop) {
  if (auto right = check_secrets(job, secrets); !right) return right.error();
  const std::string supervisor = onbox_script("supervise");
  const std::string script = onbox_script("start");
  ScriptCall call;
  call.script = script;
  call.args = {job.run,
               job.run_root,
               job_digest(job),
               std::string(detach_name(job.detach)),
               resume ? "1" : "0",
               sha256_hex(supervisor).substr(0, kScriptId)};
  call.input = start_input(job, secrets, run_files(job, supervisor));
  call.idle_timeout = Seconds(60);  // it may wait 30 s for another start, then 10 s for its own
  call.total_timeout = Seconds(120);
  auto text = onbox_answer(shell.run(call, stop), "starting the run");
  if (!text) return text.error();
  return read_start(*text, job);
}

Result<std::vector<std::string>> list_run_folders(Shell& shell, const std::string& run_root,
                                                  std::stop_token stop) {
  const std::string script = onbox_script("folders");
  ScriptCall call{.script = script, .args = {run_root}};
  auto text = onbox_answer(shell.run(call, stop), "listing the run folders");
  if (!text) return text.error();
  AnswerReader answer(*text, "rgt-folders 1");
  std::vector<std::string> names;
  while (answer.at("folder")) {
    answer.take("folder", 1);
    names.push_back(answer.text(0));
  }
  answer.take("end", 0);
  if (!answer.ok()) return answer.error();
  return names;
}

}  // namespace rgt
