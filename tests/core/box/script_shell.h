// SPDX-License-Identifier: MIT
// For tests of the on-box scripts: a Shell that runs them on this machine under a chosen
// interpreter, with a PATH and a HOME of its own, and a room that ends every process a test left
// behind.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/box/job.h"
#include "core/box/look.h"
#include "core/box/run_folder.h"
#include "core/box/shell.h"

namespace rgt::test {

// "dash", "bash", "busybox" as far as this machine has them. The on-box scripts start `sh` by PATH,
// so a room puts a `sh` of the chosen kind first there.
std::vector<std::string> interpreters();

class ScriptShell final : public Shell {
 public:
  ScriptShell(std::string interpreter, std::string path, std::filesystem::path home);
  Result<ScriptOutcome> run(const ScriptCall& call, std::stop_token stop) override;
  std::string host_key() const override { return "local"; }

  // The script is killed (-9, as by a dying connection) after so long; negative: never.
  std::chrono::milliseconds kill_after = std::chrono::milliseconds(-1);

 private:
  std::string interpreter_ = {};
  std::string path_ = {};
  std::filesystem::path home_ = {};
};

struct Room {
  explicit Room(const std::string& interpreter_name = interpreters().front());
  ~Room();
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  // A PATH where the named tools do not exist (a folder of links to all others).
  std::string path_without(const std::vector<std::string>& tools) const;
  JobSpec job(const std::vector<CellSpec>& cells) const;
  Result<StartReport> start(const JobSpec& job, bool resume = false,
                            const std::map<std::string, std::string>& secrets = {});
  RunReading look_at(const JobSpec& job, const std::vector<LogPosition>& positions = {});
  std::filesystem::path folder(const JobSpec& job) const { return runs / job.run; }
  // Looks until `right` holds; fails the test after a minute.
  RunReading look_until(const JobSpec& job, const std::function<bool(const RunReading&)>& right);

  std::string interpreter = {};
  std::filesystem::path root = {};  // a fresh folder of this test
  std::filesystem::path runs = {};  // run_root of its jobs
  std::string path = {};            // PATH with the chosen sh first
  ScriptShell shell;
};

CellSpec cell(const std::string& name, const std::string& command,
              const std::vector<std::string>& artifacts = {});
const CellReading& cell_named(const RunReading& reading, const std::string& name);
bool all_marked(const RunReading& reading);
bool wait_until(const std::function<bool()>& right);  // false after a minute
std::string slurp(const std::filesystem::path& file);
void spill(const std::filesystem::path& file, const std::string& bytes);
std::string start_time_of(long pid);  // "" if it is not alive

}  // namespace rgt::test
