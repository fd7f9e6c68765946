// SPDX-License-Identifier: MIT
// What every way of pulling checks before a byte moves: that the named paths stay below their
// folder here and on the box, and who of several streams takes which file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/box/patience.h"
#include "core/box/shell.h"
#include "core/box/transfer.h"

namespace rgt {

inline constexpr const char* kPullAgain = "call again: the pull goes on where it was cut";

struct PullFile {
  std::string path = {};   // checked: below the folder, without "." parts
  std::uint64_t size = 0;  // as the caller told; 0: not known
};

// refused for a path that leads out of the folder, or to a symbolic link below local_root: the
// box's names would write elsewhere.
Result<std::vector<PullFile>> check_pull_paths(const PullRequest& request);

// refused if a part of `path` below `root`, on this machine, is a symbolic link.
Result<void> refuse_symlinks(const std::filesystem::path& root, const std::string& path);

// refused if one of the files is reached on the box through a symbolic link that leads out of
// remote_root. One script call on `shell`.
Result<void> refuse_links_out(Shell& shell, const std::string& box, const PullRequest& request,
                              const std::vector<PullFile>& files, const Patience& patience);

// Shares of about the same size in bytes, at most `most`, and no more than the bytes are worth: a
// stream costs a connection.
std::vector<std::vector<PullFile>> share_out(std::vector<PullFile> files, std::size_t most);

// Adds up what the streams of one pull report. Every method may be called from any thread.
class PullMeter {
 public:
  PullMeter(const PullRequest& request, std::size_t streams)
      : request_(request), streams_(streams), start_(Patience::Steady::now()) {}
  // `done`: bytes of this stream's files that are here now; `kept`: those that lay here before.
  void update(std::size_t stream, std::uint64_t done, std::uint64_t kept);

 private:
  struct Stream {
    std::uint64_t done = 0, fresh = 0;
  };
  const PullRequest& request_;
  std::mutex mutex_ = {};
  std::vector<Stream> streams_;
  const Patience::Steady::time_point start_;
};

// Pulls the shares at once, each on a thread of its own. The sum of the reports, or the first
// error, which also stops the others unless it is a link that was cut.
Result<PullReport> pull_shares(
    const std::vector<std::vector<PullFile>>& shares, const Patience& patience,
    const std::function<Result<PullReport>(std::size_t share, const Patience&)>& pull_share);

}  // namespace rgt
