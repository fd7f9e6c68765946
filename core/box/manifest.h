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
  std::vector<ManifestEntry> entries = {};   // one per expected file, in the job's order
  std::vector<std::string> unexpected = {};  // checkpoint-like files below the write paths that the
                                             // job does not name: lost at teardown (bounded, 100)
  bool unexpected_truncated = false;
};

// One script call. An expected artifact that is a folder is expanded to its files. A folder that is
// empty counts as missing. Code::limit beyond 100,000 files.
Result<Manifest> take_manifest(Shell& shell, const std::string& folder, const JobSpec& job,
                               Milliseconds total_timeout, std::stop_token stop);
Result<Manifest> parse_manifest(std::string_view answer);  // fuzzed

std::string manifest_digest(const Manifest& manifest);  // order-independent sha256 over the entries

}  // namespace rgt
