// SPDX-License-Identifier: MIT
// A run on a box behind a real sshd, and the ways to hurt both. What was started is ended with it.
#pragma once

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>

#include "core/base/files.h"
#include "core/base/text.h"
#include "tests/boxes/loopback_sshd.h"
#include "tests/tools/workbench.h"

namespace rgt {

// Empty where the look said nothing of the cell: the box did not answer.
inline Json cell_of(const Json& probe) {
  const Json none = Json::array();
  const Json cells = probe.value("cells", none);
  return cells.empty() ? Json::object() : cells[0];
}

inline bool says(const Json& object, const char* key, std::string_view part) {
  return object.value(key, "").find(part) != std::string::npos;
}

struct FaultBench {
  LoopbackSshd sshd = {};
  Workbench bench{sshd.settings(Seconds(15)), LoopbackSshd::kAlias};
  std::filesystem::path root = bench.folder() / "box";  // where the run's folder is made

  FaultBench() = default;
  FaultBench(const FaultBench&) = delete;
  FaultBench& operator=(const FaultBench&) = delete;
  ~FaultBench() {
    sshd.thaw();
    kill_supervisor();
    kill_cell();
  }

  // One cell "c1" of run "run"; `more` is merged into the job.
  void launch(const std::string& command, const Json& more = Json::object()) {
    Json arguments = bench.job("run", {command}, {});
    arguments["job"]["run_root"] = root.string();
    arguments["job"].update(more);
    const ToolResult launched = bench.call("launch", arguments);
    INFO(launched.text);
    REQUIRE(launched.structured.value("started", false));
  }
  void launch_until_running(const std::string& command, const Json& more = Json::object()) {
    launch(command, more);
    until([&] { return cell_pid() > 1; });
  }

  // Looks until `holds`; the look that it held for.
  Json probe_until(const std::function<bool(const Json&)>& holds) {
    return bench.probe_until("run", holds);
  }
  // The cell as the first look saw it that gave this verdict.
  Json cell_once(const std::string& verdict) {
    return cell_of(probe_until(
        [&](const Json& seen) { return cell_of(seen).value("verdict", "") == verdict; }));
  }
  ToolResult tick() { return bench.call("patrol_tick", Json::object()); }
  Json row() { return tick().structured["runs"][0]; }

  std::filesystem::path cell_folder() const { return root / "run" / "cells" / "c1"; }
  pid_t cell_pid() const { return number_after(slurp(cell_folder() / "process"), "pid="); }
  pid_t supervisor_pid() const {
    std::error_code ignored;
    const auto link = std::filesystem::read_symlink(root / "run/rgt/supervisors/1", ignored);
    return number_after("=" + link.string(), "=");
  }
  static pid_t parent_of(pid_t process) {
    return number_after(slurp("/proc/" + std::to_string(process) + "/status"), "PPid:\t");
  }
  void kill_cell() const {
    if (cell_pid() > 1) ::kill(-cell_pid(), SIGKILL);
  }
  void kill_supervisor() const {
    if (supervisor_pid() > 1) ::kill(supervisor_pid(), SIGKILL);
  }

  static std::string slurp(const std::filesystem::path& path) {
    return read_file(path, 1u << 20).ok() ? *read_file(path, 1u << 20) : std::string();
  }
  static void until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + Seconds(30);
    while (!holds()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      std::this_thread::yield();
    }
  }

 private:
  static pid_t number_after(const std::string& text, const std::string& key) {
    const std::size_t at = text.find(key);
    if (at == std::string::npos) return -1;
    const std::size_t from = at + key.size();
    const auto number =
        parse_int(text.substr(from, text.find_first_not_of("0123456789", from) - from));
    return number ? static_cast<pid_t>(*number) : -1;
  }
};

}  // namespace rgt
