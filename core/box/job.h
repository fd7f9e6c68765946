// SPDX-License-Identifier: MIT
// What a run is asked to be: the job as the user wrote it, checked. Pure data; the same object
// always has the same digest, so that launching twice is the same launch.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace rgt {

enum class Detach { automatic, tmux, nohup };
std::string_view detach_name(Detach detach);  // "auto", "tmux", "nohup"

struct CellSpec {
  std::string name = {};     // is_safe_name
  std::string command = {};  // sh text, run as a file by /bin/sh (bash if the box has it)
  std::map<std::string, std::string> env = {};
  std::string write_path = {};              // absolute; empty: <run folder>/cells/<cell>/out
  std::vector<std::string> artifacts = {};  // relative to the write path; what must outlive the box
};

struct JobSpec {
  std::string run = {};  // is_safe_name
  std::string box = {};
  std::string profile = {};   // empty: "local" for the local box, "generic-ssh" otherwise
  std::string run_root = {};  // absolute folder on the box for run folders; empty: ~/.rgt/runs
  std::string directory =
      {};  // absolute folder the commands start in; empty: the cell's write path
  std::vector<CellSpec> cells = {};
  int parallel = 1;                   // cells at once, 1..64
  int heartbeat_seconds = 30;         // 1..3600
  std::int64_t expected_seconds = 0;  // per cell; 0: not known
  std::int64_t stall_seconds = 1800;  // no log byte and no new file for so long: stalled
  Detach detach = Detach::automatic;
  std::vector<std::string> secret_env =
      {};  // names only: values come from this machine's environment
};

// Canonical JSON text of everything that makes the run what it is (sorted keys, no whitespace); how
// it is kept alive (`detach`) is left out.
std::string canonical_job(const JobSpec& job);
std::string job_digest(const JobSpec& job);  // sha256 of canonical_job

// Parses and checks; the message names the path that was wrong ("cells[1].name: ..."), what was
// expected, and what was found. Unknown keys are errors with a did-you-mean.
Result<JobSpec> parse_job(std::string_view json_text);

}  // namespace rgt
