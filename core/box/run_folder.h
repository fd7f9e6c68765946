// SPDX-License-Identifier: MIT
// The run folder on the box: start a run in it, resume its unfinished cells. The layout is written
// down in core/box/onbox/RUN_FOLDER.md. Each function is one script call on one shell.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/box/job.h"
#include "core/box/shell.h"

namespace rgt {

struct StartReport {
  bool started = false;     // false: a supervisor for this very spec was already alive or all done
  std::string folder = {};  // absolute
  std::string detach = {};  // "tmux" or "nohup": what was really used
  std::string supervisor = {};  // "pid starttime" of the supervisor
  std::string machine_id = {};  // as in Reading: which machine the run is on
  std::vector<std::string> cells_started =
      {};  // queued by this start (without those done or alive)
};

// Idempotent and safe against two at once (an atomic lock on the box decides): creates the folder,
// writes content-addressed scripts and the cells' commands, starts the supervisor under the detach
// primitive, waits (on the box, at most 10 s) until it wrote its identity, and returns.
// conflict: the folder holds a run with another spec digest. `resume`: cells that FAILED or were
// lost get a new attempt with the very same command; DONE and live cells are left alone. Without
// `resume` a folder whose supervisor has ended is reported, never restarted. refused: resume found
// only cells that ended but left processes behind; a new attempt beside them could ruin the files.
// `secrets`: NAME -> value, sent on stdin, kept on the box in a 0600 file that the supervisor reads
// and removes before the first cell starts.
Result<StartReport> start_run(Shell& shell, const JobSpec& job, bool resume,
                              const std::map<std::string, std::string>& secrets,
                              std::stop_token stop);

// Names of the run folders below `run_root` (empty: ~/.rgt/runs), whoever made them; sorted, at
// most 1000. An absent root is an empty list. One script call.
Result<std::vector<std::string>> list_run_folders(Shell& shell, const std::string& run_root,
                                                  std::stop_token stop);

}  // namespace rgt
