// SPDX-License-Identifier: MIT
#include "core/box/ssh_sftp.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <thread>
#include <vector>

#include <libssh/libssh.h>
#include <libssh/sftp.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/pull_paths.h"
#include "core/box/ssh_config.h"
#include "core/box/ssh_session.h"
#include "core/box/ssh_steps.h"

// Later versions of libssh call this interface old; Debian 12 has no other.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace rgt {
namespace {

namespace fs = std::filesystem;
using Steady = Patience::Steady;

constexpr std::uint32_t kReadSize = 32768;   // bytes: every server serves that much at once
constexpr std::size_t kReadsUnderWay = 64;   // 2 MiB: fills 100 MB/s over 20 ms
constexpr Milliseconds kWatchSlice(100);     // a stop request is seen within this
constexpr Milliseconds kProgressEvery(500);  // people read no faster

struct SftpFree {
  void operator()(sftp_session sftp) const { sftp_free(sftp); }
};
struct AttributesFree {
  void operator()(sftp_attributes attributes) const { sftp_attributes_free(attributes); }
};
struct FileClose {
  void operator()(sftp_file file) const { sftp_close(file); }
};
using SftpSession = std::unique_ptr<sftp_session_struct, SftpFree>;
using Attributes = std::unique_ptr<sftp_attributes_struct, AttributesFree>;
using FarFile = std::unique_ptr<sftp_file_struct, FileClose>;

// libssh's SFTP waits without a limit. This one cuts the socket when the link was silent for too
// long, the time is over or somebody said stop; then every waiting call fails at once.
class Watch {
 public:
  Watch(ssh_session session, Milliseconds idle, const Patience& patience)
      : socket_(::dup(ssh_get_fd(session))),
        idle_(idle),
        patience_(patience),
        thread_([this] { serve(); }) {}
  ~Watch() {
    done_ = true;
    thread_.join();
    if (socket_ >= 0) ::close(socket_);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void heard() { last_heard_ = Steady::now().time_since_epoch().count(); }
  bool was_silent() const { return silent_; }

 private:
  void serve() {
    while (!done_) {
      std::this_thread::sleep_for(kWatchSlice);
      const Steady::time_point heard{Steady::duration(last_heard_.load())};
      silent_ = Steady::now() - heard > idle_;
      if (!silent_ && !patience_.over()) continue;
      ::shutdown(socket_, SHUT_RDWR);
      return;
    }
  }

  const int socket_;
  const Milliseconds idle_;
  const Patience& patience_;
  std::atomic<Steady::rep> last_heard_ = Steady::now().time_since_epoch().count();
  std::atomic<bool> silent_ = false;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

class NearFile {
 public:
  explicit NearFile(const fs::path& path)
      : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666)) {}
  ~NearFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  NearFile(const NearFile&) = delete;
  NearFile& operator=(const NearFile&) = delete;

  bool is_open() const { return fd_ >= 0; }
  std::uint64_t size() const {
    struct stat status {};
    return ::fstat(fd_, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  }
  bool clear() { return ::ftruncate(fd_, 0) == 0; }
  bool write(const char* bytes, std::size_t count, std::uint64_t at) {
    while (count > 0) {
      const ssize_t put = ::pwrite(fd_, bytes, count, static_cast<off_t>(at));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return false;
      bytes += put;
      count -= static_cast<std::size_t>(put);
      at += static_cast<std::uint64_t>(put);
    }
    return true;
  }
  void set_time(std::uint32_t seconds) {
    const timespec time{static_cast<time_t>(seconds), 0};
    const std::array<timespec, 2> both{time, time};
    ::futimens(fd_, both.data());
  }

 private:
  const int fd_;
};

// One connection that takes one share of the files, one after another.
class Stream {
 public:
  Stream(std::string box, const PullRequest& request, const Patience& patience,
         std::function<void(std::uint64_t done, std::uint64_t kept)> on_bytes)
      : box_(std::move(box)),
        request_(request),
        patience_(patience),
        on_bytes_(std::move(on_bytes)) {}

  Result<PullReport> pull(SshSession& ssh, const std::vector<PullFile>& files) {
    session_ = ssh.libssh();
    ssh_set_blocking(session_, 1);
    Watch watch(session_, request_.idle_timeout, patience_);
    watch_ = &watch;
    auto report = pull_all(files);
    watch_ = nullptr;
    return report;
  }

 private:
  Result<PullReport> pull_all(const std::vector<PullFile>& files) {
    sftp_.reset(sftp_new(session_));
    if (sftp_ == nullptr || sftp_init(sftp_.get()) != SSH_OK) {
      if (ssh_is_connected(session_) == 0 || patience_.over()) return broken();
      return Error{Code::missing_tool, "the sshd of " + box_ + " offers no SFTP",
                   "install rsync there (apt-get install -y rsync), then call again"};
    }
    PullReport report;
    for (const PullFile& file : files) {
      auto pulled = pull_file(file);
      if (!pulled) {
        sftp_.reset();
        return pulled.error();
      }
      if (*pulled) ++report.files;
    }
    sftp_.reset();
    report.bytes_received = received_;
    return report;
  }

  // False: it is not there, or was here already.
  Result<bool> pull_file(const PullFile& file) {
    const std::string far_path = request_.remote_root + "/" + file.path;
    const fs::path near_path = request_.local_root / file.path;
    const FarFile far(sftp_open(sftp_.get(), far_path.c_str(), O_RDONLY, 0));
    if (far == nullptr) return is_missing() ? Result<bool>(false) : far_error(file);
    const Attributes attributes(sftp_fstat(far.get()));
    if (attributes == nullptr) return far_error(file);
    if (attributes->type != SSH_FILEXFER_TYPE_REGULAR)
      return Error{Code::remote_failed,
                   clean_line(file.path, 200) + " on " + box_ + " is no regular file",
                   "look at it on the box"};
    if (auto made = make_directories(near_path.parent_path()); !made) return made.error();
    NearFile near(near_path);
    if (!near.is_open()) return near_error(near_path);
    std::uint64_t from = near.size();
    if (request_.by_checksum || from > attributes->size) {
      if (!near.clear()) return near_error(near_path);
      from = 0;
    }
    kept_ += from;
    done_ += from;
    const bool fresh = from < attributes->size || attributes->size == 0;
    if (auto read = read_from(*far, near, file, near_path, from, attributes->size); !read)
      return read.error();
    near.set_time(attributes->mtime);
    tell(true);
    return fresh;
  }

  // Keeps reads under way, so that the link is never idle; answers come in the order of the asking.
  Result<void> read_from(sftp_file_struct& far, NearFile& near, const PullFile& file,
                         const fs::path& near_path, std::uint64_t from, std::uint64_t size) {
    struct Read {
      std::uint32_t id = 0;
      std::uint32_t size = 0;
    };
    std::deque<Read> under_way;
    std::uint64_t asked = from;
    std::vector<char> bytes(kReadSize);
    if (sftp_seek64(&far, from) != 0) return far_error(file);
    while (from < size) {
      while (asked < size && under_way.size() < kReadsUnderWay) {
        const auto want =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(kReadSize, size - asked));
        const int id = sftp_async_read_begin(&far, want);
        if (id < 0) return far_error(file);
        under_way.push_back({static_cast<std::uint32_t>(id), want});
        asked += want;
      }
      const Read read = under_way.front();
      under_way.pop_front();
      const int got = sftp_async_read(&far, bytes.data(), read.size, read.id);
      if (got < 0) return far_error(file);
      // A file that became shorter, or a server that gives less than it was asked for.
      if (static_cast<std::uint32_t>(got) != read.size) {
        return Error{Code::remote_failed,
                     clean_line(file.path, 200) + " on " + box_ + " ended before its size",
                     "see whether something still writes there, then " + std::string(kPullAgain)};
      }
      if (!near.write(bytes.data(), read.size, from)) return near_error(near_path);
      watch_->heard();
      from += read.size;
      done_ += read.size;
      received_ += read.size;
      tell(false);
    }
    return {};
  }

  void tell(bool now) {
    if (!now && Steady::now() - told_ < kProgressEvery) return;
    told_ = Steady::now();
    on_bytes_(done_, kept_);
  }

  bool is_missing() const {
    const int code = sftp_get_error(sftp_.get());
    return ssh_is_connected(session_) != 0 &&
           (code == SSH_FX_NO_SUCH_FILE || code == SSH_FX_NO_SUCH_PATH);
  }
  Error broken() const {
    if (patience_.stop.stop_requested())
      return {Code::cancelled, "stopped while pulling", kPullAgain};
    if (patience_.over())
      return {Code::timeout, "the pull from " + box_ + " did not end in time", kPullAgain};
    if (watch_->was_silent())
      return {Code::unreachable, "the pull from " + box_ + " went silent", kPullAgain};
    return {Code::unreachable, "the pull from " + box_ + " broke off: " + words_of(session_),
            kPullAgain};
  }
  Error far_error(const PullFile& file) const {
    // What the server says about one file comes with a code of its own; else the link is gone.
    const int code = sftp_get_error(sftp_.get());
    if (ssh_is_connected(session_) == 0 || patience_.over() || code <= SSH_FX_EOF ||
        code >= SSH_FX_BAD_MESSAGE)
      return broken();
    return {Code::remote_failed,
            "the box could not read " + clean_line(file.path, 200) + " (SFTP error " +
                std::to_string(code) + ")",
            "check the files on the box, then " + std::string(kPullAgain)};
  }
  Error near_error(const fs::path& path) const {
    if (errno == ENOSPC || errno == EDQUOT) {
      return {Code::io, "this machine's disk is full at " + request_.local_root.string(),
              "free space or pull elsewhere, then " + std::string(kPullAgain)};
    }
    return {Code::io, "cannot write " + path.string() + ": " + std::strerror(errno),
            "make the folder writable or pull elsewhere, then " + std::string(kPullAgain)};
  }

  const std::string box_;
  const PullRequest& request_;
  const Patience& patience_;
  const std::function<void(std::uint64_t done, std::uint64_t kept)> on_bytes_;
  ssh_session session_ = nullptr;
  Watch* watch_ = nullptr;
  SftpSession sftp_ = {};
  std::uint64_t done_ = 0, kept_ = 0, received_ = 0;
  Steady::time_point told_ = {};
};

}  // namespace

Result<PullReport> SftpTransfer::pull(const PullRequest& request, std::stop_token stop) {
  const Patience patience{Steady::now() + request.total_timeout, std::move(stop)};
  auto files = check_pull_paths(request);
  if (!files) return files.error();
  if (auto made = make_directories(request.local_root); !made) return made.error();
  if (auto inside = refuse_links_out(*shell_, box_, request, *files, patience); !inside)
    return inside.error();
  auto target = read_ssh_target(box_, settings_, processes_, patience);
  if (!target) return target.error();
  const auto shares = share_out(std::move(*files), request.streams);
  PullMeter meter(request, shares.size());
  return pull_shares(shares, patience,
                     [&](std::size_t share, const Patience& shared) -> Result<PullReport> {
                       auto ssh = SshSession::connect(*target, settings_, processes_,
                                                      shared.at_most(settings_.connect_timeout));
                       if (!ssh) return ssh.error();
                       Stream stream(box_, request, shared,
                                     [&meter, share](std::uint64_t done, std::uint64_t kept) {
                                       meter.update(share, done, kept);
                                     });
                       return stream.pull(**ssh, shares[share]);
                     });
}

}  // namespace rgt
