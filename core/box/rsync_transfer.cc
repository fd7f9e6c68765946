// SPDX-License-Identifier: MIT
#include "core/box/rsync_transfer.h"

#include <algorithm>
#include <optional>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/fields.h"
#include "core/box/onbox.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// What came so far stays here when a pull is cut, and the next one goes on from it.
constexpr const char* kPartialFolder = ".rgt-partial";
constexpr const char* kAgain = "call again: the pull goes on where it was cut";
constexpr Seconds kLinksTimeout(60);  // one round trip and a few stat() for each of 100,000 files
constexpr std::size_t kTailSize = 4096;  // bytes: the statistics of rsync are about 600

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

Result<std::vector<std::string>> paths_below(const std::vector<std::string>& named) {
  std::vector<std::string> paths;
  for (const std::string& name : named) {
    auto path = path_below(name);
    if (!path) {
      return Error{Code::refused,
                   "the box names a path outside its folder: " + clean_line(name, 200),
                   "do not trust this box"};
    }
    paths.push_back(std::move(*path));
  }
  return paths;
}

// A symlink where a folder or file of ours should be would let the box's names write elsewhere.
Result<void> refuse_symlinks(const fs::path& root, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
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
  }
  return {};
}

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
  std::vector<std::string> argv{"rsync",
                                "--files-from=-",
                                "--from0",
                                "--times",
                                "--copy-links",
                                "--protect-args",
                                "--partial",
                                std::string("--partial-dir=") + kPartialFolder,
                                "--info=progress2,stats2",
                                "--no-human-readable",
                                "--outbuf=L"};
  // Hashing a big file is silent for minutes and looks like a dead link to --timeout; there the
  // ServerAlive options of ssh tell a dead link, and the total deadline holds.
  argv.push_back(request.by_checksum ? "--checksum" : "--timeout=" + std::to_string(idle));
  if (box == kLocalBox) {
    argv.push_back("--whole-file");  // reading both sides to save a copy on one disk saves nothing
    argv.push_back(request.remote_root + "/");
  } else {
    argv.push_back("-e");
    argv.push_back(ssh_program(settings));
    argv.push_back(box + ":" + request.remote_root + "/");
  }
  argv.push_back(request.local_root.string() + "/");
  return argv;
}

// "     1,234,567  45%   12.34MB/s ..." with --no-human-readable: plain digits, rate with a unit.
class ProgressReader {
 public:
  explicit ProgressReader(const PullRequest& request)
      : request_(request), start_(std::chrono::steady_clock::now()) {}
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
    const auto bytes = parse_uint(text.substr(0, space));
    if (!bytes || !request_.on_progress) return;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    request_.on_progress(*bytes,
                         spent.count() > 0 ? static_cast<double>(*bytes) / spent.count() : 0);
  }

  const PullRequest& request_;
  std::chrono::steady_clock::time_point start_;
  std::string pending_ = {};
};

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
  const std::string again = kAgain;
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

// rsync can follow every symbolic link of the other side or none; so the box is asked first which
// of them lead out of the folder.
Result<void> RsyncTransfer::refuse_links_out(const PullRequest& request,
                                             const std::vector<std::string>& paths,
                                             const Patience& patience) const {
  ScriptCall call;
  const std::string script = onbox_script("links");
  call.script = script;
  call.args = {request.remote_root};
  for (const std::string& path : paths) call.input += onbox_word(path) + "\n";
  call.total_timeout = std::min<Milliseconds>(kLinksTimeout, patience.left());
  call.idle_timeout = call.total_timeout;
  auto text = onbox_answer(shell_->run(call, patience.stop), "looking for links");
  if (!text) {
    const Error& error = text.error();
    const bool again = error.code == Code::unreachable || error.code == Code::timeout;
    return Error{error.code, error.message, again ? kAgain : error.next};
  }
  AnswerReader answer(*text, "rgt-links 1");
  if (answer.at("out")) {
    answer.take("out", 2);
    return Error{Code::refused,
                 clean_line(answer.text(0), 200) + " on " + box_ + " is a symbolic link to " +
                     clean_line(answer.text(1), 200) + ", outside of " + request.remote_root,
                 "copy the file to where the link is, or make its folder the write path of a cell"};
  }
  if (!answer.ok()) return answer.error();
  return {};
}

Result<PullReport> RsyncTransfer::pull(const PullRequest& request, std::stop_token stop) {
  require(!request.remote_root.empty() && request.remote_root[0] == '/',
          "a pull starts at an absolute folder");
  const Patience patience{Patience::Steady::now() + request.total_timeout, stop};
  const auto paths = paths_below(request.paths);
  if (!paths) return paths.error();
  if (auto clean = refuse_symlinks(request.local_root, *paths); !clean) return clean.error();
  if (auto made = make_directories(request.local_root); !made) return made.error();
  if (auto inside = refuse_links_out(request, *paths, patience); !inside) return inside.error();
  return run_rsync(request, *paths, patience);
}

Result<PullReport> RsyncTransfer::run_rsync(const PullRequest& request,
                                            const std::vector<std::string>& paths,
                                            const Patience& patience) const {
  ProgressReader progress(request);
  ProcessSpec spec;
  spec.argv = rsync_arguments(box_, settings_, request);
  for (const std::string& path : paths) spec.input += path + '\0';
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
