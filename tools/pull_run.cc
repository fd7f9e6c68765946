// SPDX-License-Identifier: MIT
#include "tools/pull_run.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/parallel.h"
#include "core/base/text.h"
#include "core/box/pull_paths.h"
#include "core/profile/profile.h"
#include "tools/runs_seen.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIncoming = ".rgt-incoming";  // no cell's name begins with a dot
constexpr std::size_t kStreams = 4;  // connections at once: a stock sshd drops some beyond ten
// A pull that moves ends when it is done; a link that does not move is cut after 30 s anyway.
constexpr Milliseconds kPullTimeout = std::chrono::hours(24);
constexpr int kCutsMost = 20;  // in one call; each of them brought something
// Left free on the disk beyond the artifacts: the ledger lives there too.
constexpr std::uint64_t kSpareBytes = 64u << 20;

std::uint64_t size_at(const fs::path& path) {
  std::error_code absent;
  if (!fs::is_regular_file(fs::symlink_status(path, absent))) return 0;
  const auto size = fs::file_size(path, absent);
  return absent ? 0 : static_cast<std::uint64_t>(size);
}

// Was exactly these bytes what an earlier manifest listed and a reader proved? Then the file is
// only old, not damaged, and may be replaced by the newer one.
bool is_older_version(const std::vector<EvidenceRecord>& evidence, const ManifestEntry& entry,
                      const std::string& local_digest) {
  return std::any_of(evidence.begin(), evidence.end(), [&](const EvidenceRecord& row) {
    return row.cell == entry.cell && row.path == entry.path && row.verdict == "ok" &&
           row.sha256 == local_digest && row.sha256 != entry.sha256;
  });
}

// Bytes that must still be written here; what came in an earlier pull takes no new room.
std::uint64_t bytes_to_write(const std::vector<ArtifactItem>& items) {
  std::uint64_t bytes = 0;
  for (const ArtifactItem& item : items) {
    if (!item.wanted) continue;
    const std::uint64_t here = size_at(item.incoming);
    bytes += item.entry.size > here ? item.entry.size - here : 0;
  }
  return bytes;
}

Result<void> check_room(const fs::path& root, const std::vector<ArtifactItem>& items) {
  const std::uint64_t needed = bytes_to_write(items);
  const auto files = static_cast<std::uint64_t>(std::count_if(
      items.begin(), items.end(), [](const ArtifactItem& item) { return item.wanted; }));
  const auto space = free_space(root);
  if (!space || needed == 0) return {};
  const std::string next = "free space there, or pass `into` with a folder on a larger disk";
  if (space->bytes < needed + kSpareBytes) {
    return Error{Code::io,
                 "not enough room on this machine: " + human_bytes(needed) + " (" +
                     std::to_string(needed) + " bytes) to pull, and " + human_bytes(kSpareBytes) +
                     " to spare; " + human_bytes(space->bytes) + " (" +
                     std::to_string(space->bytes) + " bytes) free at " + root.string(),
                 next};
  }
  if (space->inodes > 0 && space->inodes < files) {
    return Error{Code::io,
                 "not enough inodes on this machine: " + std::to_string(files) +
                     " files to pull, " + std::to_string(space->inodes) + " inodes free at " +
                     root.string(),
                 next};
  }
  return {};
}

// rsync sends only the difference to what lies in its way.
void lay_out_base(const ArtifactItem& item) {
  std::error_code trouble;
  if (size_at(item.incoming) > 0 || size_at(item.local) == 0) return;
  if (!make_directories(item.incoming.parent_path())) return;
  fs::copy_file(item.local, item.incoming, fs::copy_options::overwrite_existing, trouble);
  if (trouble) fs::remove(item.incoming, trouble);  // then all of it is sent
}

// Adds up what the pulls of several cells report at once.
class Progress {
 public:
  Progress(const Call& call, std::uint64_t total) : call_(call), total_(total) {}
  void show(std::size_t part, std::uint64_t bytes, double rate) {
    const std::scoped_lock lock(mutex_);
    parts_[part] = {bytes, std::max(0.0, rate)};
    std::uint64_t done = 0;
    double speed = 0;
    for (const auto& [number, one] : parts_) {
      done += one.bytes;
      speed += one.rate;
    }
    done = std::min(done, total_);
    std::string words = "pulled " + human_bytes(done) + " of " + human_bytes(total_) + " at " +
                        human_bytes(static_cast<std::uint64_t>(speed)) + "/s";
    if (speed > 1 && done < total_) {
      const double seconds = std::min(static_cast<double>(total_ - done) / speed, 1e8);
      words += ", " + to_words(Seconds(static_cast<std::int64_t>(seconds) + 1)) + " left";
    }
    call_.report(static_cast<double>(done), static_cast<double>(total_), words);
  }
  void finish(std::size_t part) {  // what has ended is no longer fast
    const std::scoped_lock lock(mutex_);
    parts_[part].rate = 0;
  }

 private:
  struct Part {
    std::uint64_t bytes = 0;
    double rate = 0;
  };
  const Call& call_;
  const std::uint64_t total_;
  std::mutex mutex_ = {};
  std::map<std::size_t, Part> parts_ = {};
};

// One request per write path and way of pulling.
std::vector<PullRequest> requests_for(const RunRecord& run, const JobSpec& job,
                                      const fs::path& root,
                                      const std::vector<ArtifactItem>& items) {
  std::vector<PullRequest> requests;
  for (const CellSpec& cell : job.cells) {
    for (const bool by_difference : {false, true}) {
      PullRequest request;
      request.remote_root = write_path_of(cell, run.folder);
      request.local_root = root / run.run / kIncoming / cell.name;
      request.by_checksum = by_difference;
      request.total_timeout = kPullTimeout;
      for (const ArtifactItem& item : items) {
        if (!item.wanted || item.entry.cell != cell.name || item.by_difference != by_difference)
          continue;
        // What is here whole waits for its digest only.
        if (!by_difference && item.entry.size > 0 && size_at(item.incoming) == item.entry.size)
          continue;
        request.paths.push_back(item.entry.path);
        request.sizes.push_back(item.entry.size);
      }
      if (!request.paths.empty()) requests.push_back(std::move(request));
    }
  }
  return requests;
}

Result<std::uint64_t> pull_once(Transfer& transfer, std::vector<PullRequest> requests,
                                const Call& call) {
  std::uint64_t total = 0;
  for (const PullRequest& request : requests)
    for (const std::uint64_t size : request.sizes) total += size;
  Progress progress(call, total);
  const std::size_t side_by_side = std::min(kStreams, requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].streams = kStreams / side_by_side;
    requests[i].on_progress = [&progress, i](std::uint64_t bytes, double rate) {
      progress.show(i, bytes, rate);
    };
  }
  std::stop_source others;
  const std::stop_callback passed_on(call.stop, [&others] { others.request_stop(); });
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::uint64_t received = 0;
  std::optional<Error> first;
  const auto work = [&] {
    for (std::size_t i = next++; i < requests.size(); i = next++) {
      auto pulled = transfer.pull(requests[i], others.get_token());
      progress.finish(i);
      const std::scoped_lock lock(mutex);
      if (pulled) {
        received += pulled->bytes_received;
        continue;
      }
      if (!first || first->code == Code::unreachable) first = pulled.error();
      next = requests.size();  // what has not begun waits for the next try
      // A link that was cut for one may be whole for the others: see pull_shares.
      if (pulled.error().code != Code::unreachable) others.request_stop();
      return;
    }
  };
  wait_in_parallel(side_by_side, work);
  if (first) return *first;
  return received;
}

Result<void> sync(const fs::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  const bool done = fd >= 0 && ::fsync(fd) == 0;
  const int why = errno;
  if (fd >= 0) ::close(fd);
  if (done) return {};
  return Error{Code::io, "cannot sync " + path.string() + ": " + std::strerror(why),
               "look at this machine's disk"};
}

}  // namespace

fs::path artifact_place(const fs::path& root, const std::string& run, const std::string& cell,
                        const std::string& path) {
  return root / run / cell / path;
}

fs::path incoming_place(const fs::path& root, const std::string& run, const std::string& cell,
                        const std::string& path) {
  return root / run / kIncoming / cell / path;
}

std::vector<std::string> places_that_are_lost(Environment& environment, const RunRecord& run,
                                              const JobSpec& job) {
  if (run.box == kLocalBox) return {};  // this machine is not given back
  std::vector<std::string> places{"", "/tmp"};
  if (!job.directory.empty()) places.push_back(job.directory);
  if (const auto profile = environment.handbook.profile(run.profile)) {
    for (const StorageTier& tier : (*profile)->storage) {
      const bool absolute = tier.path.size() > 1 && tier.path[0] == '/';
      if (absolute && tier.destroy != Survives::yes) places.push_back(tier.path);
    }
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

Result<std::vector<ArtifactItem>> plan_pull(const Manifest& manifest, const fs::path& root,
                                            const std::vector<EvidenceRecord>& evidence,
                                            bool repull, const Call& call) {
  std::vector<ArtifactItem> items;
  for (const ManifestEntry& entry : manifest.entries) {
    ArtifactItem item;
    item.entry = entry;
    item.local = artifact_place(root, manifest.run, entry.cell, entry.path);
    item.incoming = incoming_place(root, manifest.run, entry.cell, entry.path);
    std::error_code ignored;
    if (!entry.present) {
      // Nothing to pull.
    } else if (!fs::is_regular_file(fs::symlink_status(item.local, ignored))) {
      item.wanted = true;
    } else {
      call.report(0, 1,
                  "hashing the local copy of " + entry.cell + "/" + clean_line(entry.path, 120));
      const auto digest = sha256_file(item.local, call.stop);
      if (!digest) return digest.error();
      if (*digest != entry.sha256) {
        item.wanted = repull || is_older_version(evidence, entry, *digest);
        item.by_difference = item.wanted;
      }
    }
    items.push_back(std::move(item));
  }
  return items;
}

Result<std::uint64_t> pull_items(Environment& environment, const RunRecord& run, const JobSpec& job,
                                 const fs::path& root, std::vector<ArtifactItem>& items,
                                 const Call& call) {
  std::uint64_t received = 0;
  auto requests = requests_for(run, job, root, items);
  if (requests.empty()) return received;
  if (auto room = check_room(root, items); !room) return room.error();
  for (const ArtifactItem& item : items)
    if (item.wanted && item.by_difference) lay_out_base(item);
  auto transfer = environment.boxes.transfer(run.box);
  if (!transfer) return transfer.error();
  for (int cuts = 0;; ++cuts) {
    const std::uint64_t before = bytes_to_write(items);
    auto pulled = pull_once(**transfer, std::move(requests), call);
    if (pulled) return received + *pulled;
    const std::uint64_t after = bytes_to_write(items);
    if (pulled.error().code != Code::unreachable || after >= before || cuts == kCutsMost)
      return pulled.error();
    // Those bytes came, whatever the program that was cut could not tell any more.
    received += before - after;
    call.report(
        0, 1, "the link to " + run.box + " was cut; going on with the other " + human_bytes(after));
    requests = requests_for(run, job, root, items);
    if (requests.empty()) return received;
  }
}

Result<void> settle(const fs::path& root, const std::string& run, ArtifactItem& item) {
  if (auto clean = refuse_symlinks(root / run / item.entry.cell, item.entry.path); !clean)
    return clean;
  if (auto made = make_directories(item.local.parent_path()); !made) return made;
  if (auto synced = sync(item.incoming, O_RDONLY | O_NOFOLLOW); !synced) return synced;
  std::error_code trouble;
  fs::rename(item.incoming, item.local, trouble);
  if (trouble) {
    return Error{Code::io,
                 "cannot move a pulled file to " + item.local.string() + ": " + trouble.message(),
                 "make the place free and writable, then verify again"};
  }
  item.wanted = false;
  return sync(item.local.parent_path(), O_RDONLY | O_DIRECTORY);
}

void clear_incoming(const fs::path& root, const std::string& run,
                    const std::vector<ArtifactItem>& items) {
  const bool waiting =
      std::any_of(items.begin(), items.end(), [](const ArtifactItem& item) { return item.wanted; });
  std::error_code ignored;
  if (!waiting) fs::remove_all(root / run / kIncoming, ignored);
}

}  // namespace rgt
