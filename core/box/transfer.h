// SPDX-License-Identifier: MIT
// Transfer: bring files from a box to this machine, resumably. Says what was moved, never that it
// is good: only artifact verification says that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace rgt {

struct PullRequest {
  std::string remote_root = {};           // absolute folder on the box
  std::vector<std::string> paths = {};    // files below it, relative, no ".." and no leading '/'
  std::filesystem::path local_root = {};  // created if missing
  bool by_checksum = false;  // compare contents, not size and mtime: for files that failed a check
  Milliseconds idle_timeout = Seconds(30);  // no byte moved for so long: the link is dead
  Milliseconds total_timeout = Seconds(3600);
  std::function<void(std::uint64_t bytes_done, double rate_bytes_per_second)> on_progress = {};
};

struct PullReport {
  std::uint64_t bytes_received = 0;  // on the wire, as the tool reports it
  std::size_t files = 0;
};

class Transfer {
 public:
  virtual ~Transfer() = default;
  // Keeps partial files so that the next pull goes on where this one was cut. Paths with spaces,
  // newlines, leading dashes and shell characters are data. Symlinks are followed only inside
  // remote_root: one that leads out of it is refused. A file that could not be written here is an
  // error. Errors as Shell::run, plus missing_tool (which side lacks rsync) and
  // remote_failed. A path that is missing on the box is not an error here: it is simply absent
  // afterwards.
  virtual Result<PullReport> pull(const PullRequest& request, std::stop_token stop) = 0;
};

}  // namespace rgt
