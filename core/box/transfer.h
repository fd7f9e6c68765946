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
  std::vector<std::uint64_t> sizes = {};  // of `paths`; empty: not known, and one stream takes all
  // Created if missing. Files are written here under their own names while they arrive, so it
  // should be a folder for that alone: whoever knows the digests moves them to their place.
  std::filesystem::path local_root = {};
  bool by_checksum = false;  // compare contents with what lies here: for files that failed a check
  std::size_t streams = 4;   // connections at once, at most
  Milliseconds idle_timeout = Seconds(30);  // no byte moved for so long: the link is dead
  Milliseconds total_timeout = Seconds(3600);
  // Bytes of the named files that are here, and how fast new ones come. One call at a time, from
  // any thread.
  std::function<void(std::uint64_t bytes_done, double rate_bytes_per_second)> on_progress = {};
};

struct PullReport {
  std::uint64_t bytes_received = 0;  // on the wire, as the tool reports it
  std::size_t files = 0;
};

class Transfer {
 public:
  virtual ~Transfer() = default;
  // Goes on where an earlier pull was cut, also one that was killed: a file that is shorter here is
  // taken for the first part of the one on the box (the digest decides afterwards), one of the same
  // size is left alone. Large sets come in several streams. Paths with spaces, newlines, leading
  // dashes and shell characters are data. Symlinks are followed only inside remote_root: one that
  // leads out of it is refused. A file that could not be written here is an error. Errors as
  // Shell::run, plus missing_tool (which side lacks what) and remote_failed. A path that is missing
  // on the box is not an error here: it is simply absent afterwards.
  virtual Result<PullReport> pull(const PullRequest& request, std::stop_token stop) = 0;
};

}  // namespace rgt
