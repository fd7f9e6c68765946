// SPDX-License-Identifier: MIT
// Manifest: size, SHA-256 and mtime of every expected artifact, taken on the box after the run
// ended. What is expected and missing is listed as missing, never left out.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/box/job.h"
#include "core/box/shell.h"

namespace rgt {

struct ManifestEntry {
  std::string cell = {};
  std::string path = {};  // relative to the cell's write path
  bool present = false;
  std::uint64_t size = 0;
  std::string sha256 = {};
  std::int64_t mtime = 0;  // box clock
  // Where a symbolic link on its way leads to, out of the write path; then it is not `present`, for
  // a pull refuses to follow it.
  std::string leads_to = {};
};

struct Manifest {
  std::string run = {};
  bool run_live = false;  // a process of the run was alive: the manifest proves nothing
  std::vector<ManifestEntry> entries = {};  // one per expected file, in the job's order
  // Checkpoint-like files that the job does not name: "cell/path" below the write paths, absolute
  // elsewhere. Lost at teardown (bounded, 100).
  std::vector<std::string> unexpected = {};
  bool unexpected_truncated = false;
};

// One script call, which hashes as many files at once as the box has cores, and what it hashed in
// an earlier call (also one that was cut) only if it changed since by size, times or inode. An
// expected artifact that is a folder is expanded to its files. A folder that is empty counts as
// missing. Code::limit beyond 100,000 files. `survey`: folders where else to look for checkpoints
// that were written since the launch; "" is the home folder.
Result<Manifest> take_manifest(Shell& shell, const std::string& folder, const JobSpec& job,
                               Milliseconds total_timeout, std::stop_token stop,
                               const std::vector<std::string>& survey = {});
Result<Manifest> parse_manifest(std::string_view answer);  // fuzzed

std::string manifest_digest(const Manifest& manifest);  // order-independent sha256 over the entries

}  // namespace rgt
