// SPDX-License-Identifier: MIT
#include "core/box/pull_paths.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>

#include "core/base/parallel.h"
#include "core/base/text.h"
#include "core/box/fields.h"
#include "core/box/onbox.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

constexpr Seconds kLinksTimeout(60);  // one round trip and a few stat() for each of 100,000 files
// Below this a second connection takes longer to make than it saves on a link of 100 MB/s.
constexpr std::uint64_t kStreamBytes = 16u << 20;

// The path below the root without its "." parts, or nothing if it leads out. (A "/./" makes rsync
// forget what stands before it, and write elsewhere than was checked.)
std::optional<std::string> path_below(const std::string& path) {
  if (path.empty() || path[0] == '/' || path.find('\0') != std::string::npos) return std::nullopt;
  std::vector<std::string> parts;
  for (const std::string_view part : split(path, '/')) {
    if (part == ".." || part.empty()) return std::nullopt;
    if (part != ".") parts.emplace_back(part);
  }
  if (parts.empty()) return std::nullopt;
  return join(parts, "/");
}

}  // namespace

Result<void> refuse_symlinks(const fs::path& root, const std::string& path) {
  fs::path place = root;
  for (const fs::path& part : fs::path(path)) {
    place /= part;
    std::error_code ignored;
    if (fs::is_symlink(fs::symlink_status(place, ignored))) {
      return Error{Code::refused,
                   place.string() + " is a symbolic link; a pull writes only real files below " +
                       root.string(),
                   "remove the link, or pull into another folder"};
    }
  }
  return {};
}

Result<std::vector<PullFile>> check_pull_paths(const PullRequest& request) {
  require(!request.remote_root.empty() && request.remote_root[0] == '/',
          "a pull starts at an absolute folder");
  require(request.sizes.empty() || request.sizes.size() == request.paths.size(),
          "a size for every path, or none");
  std::vector<PullFile> files;
  for (std::size_t i = 0; i < request.paths.size(); ++i) {
    auto path = path_below(request.paths[i]);
    if (!path) {
      return Error{Code::refused,
                   "the box names a path outside its folder: " + clean_line(request.paths[i], 200),
                   "do not trust this box"};
    }
    if (auto clean = refuse_symlinks(request.local_root, *path); !clean) return clean.error();
    files.push_back({std::move(*path), request.sizes.empty() ? 0 : request.sizes[i]});
  }
  return files;
}

// The programs can follow every symbolic link of the other side or none; so the box is asked first
// which of them lead out of the folder.
Result<void> refuse_links_out(Shell& shell, const std::string& box, const PullRequest& request,
                              const std::vector<PullFile>& files, const Patience& patience) {
  ScriptCall call;
  const std::string script = onbox_script("links");
  call.script = script;
  call.args = {request.remote_root};
  for (const PullFile& file : files) call.input += onbox_word(file.path) + "\n";
  call.total_timeout = std::min<Milliseconds>(kLinksTimeout, patience.left());
  call.idle_timeout = call.total_timeout;
  auto text = onbox_answer(shell.run(call, patience.stop), "looking for links");
  if (!text) {
    const Error& error = text.error();
    const bool again = error.code == Code::unreachable || error.code == Code::timeout;
    return Error{error.code, error.message, again ? kPullAgain : error.next};
  }
  AnswerReader answer(*text, "rgt-links 1");
  if (answer.at("out")) {
    answer.take("out", 2);
    return Error{Code::refused,
                 clean_line(answer.text(0), 200) + " on " + box + " is a symbolic link to " +
                     clean_line(answer.text(1), 200) + ", outside of " + request.remote_root,
                 "copy the file to where the link is, or make its folder the write path of a cell"};
  }
  if (!answer.ok()) return answer.error();
  return {};
}

std::vector<std::vector<PullFile>> share_out(std::vector<PullFile> files, std::size_t most) {
  std::uint64_t all = 0;
  for (const PullFile& file : files) all += file.size;
  const std::size_t worth = 1 + static_cast<std::size_t>(all / kStreamBytes);
  const std::size_t count = std::max<std::size_t>(1, std::min({most, worth, files.size()}));
  std::vector<std::vector<PullFile>> shares(count);
  std::vector<std::uint64_t> bytes(count, 0);
  std::stable_sort(files.begin(), files.end(),
                   [](const PullFile& a, const PullFile& b) { return a.size > b.size; });
  for (PullFile& file : files) {
    const auto least = std::min_element(bytes.begin(), bytes.end()) - bytes.begin();
    bytes[static_cast<std::size_t>(least)] += file.size;
    shares[static_cast<std::size_t>(least)].push_back(std::move(file));
  }
  return shares;
}

void PullMeter::update(std::size_t stream, std::uint64_t done, std::uint64_t kept) {
  if (!request_.on_progress) return;
  const std::scoped_lock lock(mutex_);
  streams_[stream] = {done, done > kept ? done - kept : 0};
  Stream sum;
  for (const Stream& one : streams_) {
    sum.done += one.done;
    sum.fresh += one.fresh;
  }
  const std::chrono::duration<double> spent = Patience::Steady::now() - start_;
  request_.on_progress(sum.done,
                       spent.count() > 0 ? static_cast<double>(sum.fresh) / spent.count() : 0);
}

Result<PullReport> pull_shares(
    const std::vector<std::vector<PullFile>>& shares, const Patience& patience,
    const std::function<Result<PullReport>(std::size_t share, const Patience&)>& pull_share) {
  std::stop_source others;
  const std::stop_callback passed_on(patience.stop, [&others] { others.request_stop(); });
  const Patience shared{patience.until, others.get_token()};
  std::mutex mutex;
  PullReport sum;
  std::optional<Error> first;
  std::atomic<std::size_t> next = 0;
  wait_in_parallel(shares.size(), [&] {
    for (std::size_t share = next++; share < shares.size(); share = next++) {
      auto report = pull_share(share, shared);
      const std::scoped_lock lock(mutex);
      if (report) {
        sum.bytes_received += report->bytes_received;
        sum.files += report->files;
        continue;
      }
      if (!first || first->code == Code::unreachable) first = report.error();
      // Whoever is stopped loses what is under way to it. A link that was cut for one may be whole
      // for the others; if not, they will find out with all of it read.
      if (report.error().code != Code::unreachable) others.request_stop();
    }
  });
  if (first) return *first;
  return sum;
}

}  // namespace rgt
