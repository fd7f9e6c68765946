// SPDX-License-Identifier: MIT
#include "core/box/rsync_transfer.h"

#include <filesystem>

#include "core/base/files.h"
#include "core/base/text.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTailSize = 4096;  // bytes: the statistics of rsync are about 600

// rsync splits the -e command at spaces and knows quotes but no escapes, so a path with both kinds
// of quotes cannot be said.
std::string quoted_for_rsync(const std::string& word) {
  return word.find('\'') == std::string::npos ? "'" + word + "'" : "\"" + word + "\"";
}

std::string ssh_program(const SshSettings& settings) {
  const auto seconds = std::chrono::ceil<Seconds>(settings.connect_timeout).count();
  std::string command = "ssh -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=" +
                        std::to_string(seconds) +
                        " -o ServerAliveInterval=5 -o ServerAliveCountMax=4";
  if (!settings.config_file.empty())
    command += " -F " + quoted_for_rsync(settings.config_file.string());
  return command;
}

std::vector<std::string> rsync_arguments(const std::string& box, const SshSettings& settings,
                                         const PullRequest& request) {
  const auto idle = std::chrono::ceil<Seconds>(request.idle_timeout).count();
  // In place, so that also a kill -9 loses nothing of what came.
  std::vector<std::string> argv{"rsync",
                                "--files-from=-",
                                "--from0",
                                "--times",
                                "--copy-links",
                                "--protect-args",
                                "--inplace",
                                "--info=progress2,stats2",
                                "--no-human-readable",
                                "--outbuf=L"};
  // Hashing a big file is silent for minutes and looks like a dead link to --timeout; there the
  // ServerAlive options of ssh tell a dead link, and the total deadline holds.
  if (request.by_checksum) {
    argv.push_back("--checksum");
  } else {
    argv.push_back("--append");
    argv.push_back("--timeout=" + std::to_string(idle));
  }
  if (box == kLocalBox) {
    // Reading both sides to save a copy on one disk saves nothing.
    if (request.by_checksum) argv.push_back("--whole-file");
    argv.push_back(request.remote_root + "/");
  } else {
    argv.push_back("-e");
    argv.push_back(ssh_program(settings));
    argv.push_back(box + ":" + request.remote_root + "/");
  }
  argv.push_back(request.local_root.string() + "/");
  return argv;
}

// "     1234567  45%   12.34MB/s ..." with --no-human-readable: plain digits, rate with a unit.
// The bytes count what lay here before, once rsync comes to its file.
class ProgressReader {
 public:
  explicit ProgressReader(const std::function<void(std::uint64_t)>& on_bytes)
      : on_bytes_(on_bytes) {}
  void read(std::string_view bytes) {
    pending_ += bytes;
    std::size_t end = 0;
    while ((end = pending_.find_first_of("\r\n")) != std::string::npos) {
      line(pending_.substr(0, end));
      pending_.erase(0, end + 1);
    }
    if (pending_.size() > 4096) pending_.clear();  // not a progress line, whatever it is
  }

 private:
  void line(std::string_view text) {
    text = trim(text);
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find('%') == std::string_view::npos) return;
    if (const auto bytes = parse_uint(text.substr(0, space))) on_bytes_(*bytes);
  }

  const std::function<void(std::uint64_t)>& on_bytes_;
  std::string pending_ = {};
};

// Bytes of these files that an earlier pull left here.
std::uint64_t bytes_here(const fs::path& root, const std::vector<PullFile>& files) {
  std::uint64_t bytes = 0;
  for (const PullFile& file : files) {
    std::error_code absent;
    const auto size = fs::file_size(root / file.path, absent);
    if (!absent) bytes += size;
  }
  return bytes;
}

// "Total bytes received: 123" and "Number of regular files transferred: 4" of --stats.
std::uint64_t statistic(std::string_view out, std::string_view name) {
  const std::size_t at = out.rfind(name);
  if (at == std::string_view::npos) return 0;
  std::string digits;
  for (const char c : out.substr(at + name.size())) {
    if (c == '\n') break;
    if (c >= '0' && c <= '9') digits += c;
  }
  return parse_uint(digits).value_or(0);
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// 23 stands for any trouble with some file. Only a file that is not on the box is none of ours; a
// local folder that cannot be written must not pass for a finished pull.
bool only_missing_files(std::string_view errors) {
  for (const std::string_view line : split(errors, '\n')) {
    // The one complaint about a local place that rsync prints without its name in front.
    if (has(line, "could not make way for")) return false;
    if (!line.starts_with("rsync: ")) continue;
    if (!has(line, "link_stat") || !has(line, "No such file or directory")) return false;
  }
  return true;
}

}  // namespace

// Exit values are those of rsync(1); 255 is ssh's own.
Error RsyncTransfer::explain(const ProcessOutcome& outcome, const PullRequest& request) const {
  const std::string words = clean_line(outcome.err, 300);
  const std::string again = kPullAgain;
  if (outcome.end == ProcessEnd::cancelled)
    return {Code::cancelled, "stopped while pulling", again};
  if (outcome.end == ProcessEnd::timed_out)
    return {Code::timeout, "the pull from " + box_ + " did not end in time", again};
  if (outcome.end == ProcessEnd::idle_timed_out)
    return {Code::unreachable, "the pull from " + box_ + " went silent", again};
  if (has(words, "No space left on device")) {
    return {Code::io, "this machine's disk is full at " + request.local_root.string(),
            "free space or pull elsewhere, then " + again};
  }
  if (has(words, "rsync: command not found") || has(words, "rsync: not found") ||
      outcome.exit_code == 127) {
    return {Code::missing_tool, "rsync is not installed on " + box_,
            "install it there (apt-get install -y rsync), then call again"};
  }
  if (has(words, "Host key verification failed") || has(words, "REMOTE HOST IDENTIFICATION")) {
    const bool changed =
        has(outcome.err, "REMOTE HOST IDENTIFICATION") || has(outcome.err, "REVOKED HOST KEY");
    return {changed ? Code::host_key_changed : Code::host_key_unknown,
            "ssh refused the host key of " + box_,
            "look at the box first (audit): it tells which key was shown"};
  }
  if (outcome.exit_code == 23 || outcome.exit_code == 24) {
    if (has(outcome.err, "[sender]")) {
      return {Code::remote_failed, "the box could not read every file: " + words,
              "check the files on the box, then " + again};
    }
    return {Code::io, "cannot write below " + request.local_root.string() + ": " + words,
            "make the folder writable or pull elsewhere, then " + again};
  }
  if (has(words, "Permission denied ("))
    return {Code::auth_failed, box_ + " refused our keys: " + words, "check the ssh keys"};
  switch (outcome.exit_code) {
    case 10:
    case 12:
    case 30:
    case 35:
    case 255: return {Code::unreachable, "the pull from " + box_ + " broke off: " + words, again};
    case 11:
      return {Code::io, "rsync could not write: " + words, "check the local disk, then " + again};
    default:
      return {Code::remote_failed,
              "rsync failed (" + std::to_string(outcome.exit_code) + "): " + words, again};
  }
}

Result<PullReport> RsyncTransfer::pull(const PullRequest& request, std::stop_token stop) {
  const Patience patience{Patience::Steady::now() + request.total_timeout, std::move(stop)};
  auto files = check_pull_paths(request);
  if (!files) return files.error();
  if (auto made = make_directories(request.local_root); !made) return made.error();
  if (auto inside = refuse_links_out(*shell_, box_, request, *files, patience); !inside)
    return inside.error();
  const auto shares = share_out(std::move(*files), request.streams);
  PullMeter meter(request, shares.size());
  return pull_shares(shares, patience, [&](std::size_t share, const Patience& shared) {
    const std::uint64_t kept =
        request.on_progress ? bytes_here(request.local_root, shares[share]) : 0;
    return run_rsync(
        request, shares[share], [&](std::uint64_t bytes) { meter.update(share, bytes, kept); },
        shared);
  });
}

Result<PullReport> RsyncTransfer::run_rsync(
    const PullRequest& request, const std::vector<PullFile>& files,
    const std::function<void(std::uint64_t bytes)>& on_bytes, const Patience& patience) const {
  ProgressReader progress(on_bytes);
  ProcessSpec spec;
  spec.argv = rsync_arguments(box_, settings_, request);
  for (const PullFile& file : files) spec.input += file.path + '\0';
  spec.total_timeout = patience.left();
  // A little more than rsync's own --timeout, which says more clearly what happened.
  spec.idle_timeout = request.by_checksum ? Milliseconds(0) : request.idle_timeout + Seconds(15);
  // The statistics stand at the end, behind any number of progress lines: keep the tail ourselves.
  std::string tail;
  spec.on_output = [&](std::string_view bytes) {
    progress.read(bytes);
    tail += bytes;
    if (tail.size() > 2 * kTailSize) tail.erase(0, tail.size() - kTailSize);
  };
  auto outcome = processes_.run(spec, patience.stop);
  if (!outcome) return outcome.error();
  // 23 and 24: some files were not there; which ones, the verification will say.
  const bool partial = outcome->exit_code == 23 || outcome->exit_code == 24;
  const bool ended = outcome->end == ProcessEnd::exited && (outcome->exit_code == 0 || partial);
  if (!ended || (partial && !only_missing_files(outcome->err))) return explain(*outcome, request);
  return PullReport{
      statistic(tail, "Total bytes received:"),
      static_cast<std::size_t>(statistic(tail, "Number of regular files transferred:"))};
}

}  // namespace rgt
