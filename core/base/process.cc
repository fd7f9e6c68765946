// SPDX-License-Identifier: MIT
#include "core/base/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace rgt {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr Milliseconds kPollSlice(100);    // a stop request is seen within this
constexpr Seconds kGrace(2);               // SIGTERM to SIGKILL: time to remove a temporary file
constexpr Milliseconds kShortGrace(200);   // the same for a mere carrier of bytes
constexpr std::size_t kSaidLimit = 65536;  // bytes of a carrier's complaints kept

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  bool open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read_end = ends[0];
    write_end = ends[1];
    return true;
  }
  static void shut(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  ~Pipe() {
    shut(read_end);
    shut(write_end);
  }
};

using Variables = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> merged_environment(const Variables& extras) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::any_of(extras.begin(), extras.end(),
                                      [&](const auto& extra) { return extra.first == name; });
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [name, value] : extras) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

struct Child {
  pid_t pid = -1;
  Pipe in = {};
  Pipe out = {};
  Pipe err = {};
};

struct Ends {  // what a child gets as its stdin, stdout and stderr
  int in = -1;
  int out = -1;
  int err = -1;
};

// posix_spawn and not fork: safe in a program with threads. The child leads its own process group,
// so that everything it starts can be ended with it. 0 or an errno.
int spawn(std::vector<std::string> argv, std::vector<std::string> environment, const Ends& ends,
          pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends.in, 0);
  posix_spawn_file_actions_adddup2(&actions, ends.out, 1);
  posix_spawn_file_actions_adddup2(&actions, ends.err, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t defaults;
  sigemptyset(&defaults);
  // SIGCHLD too: a shell that inherits it ignored cannot learn how its own children ended.
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&defaults, number);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = ::posix_spawnp(&pid, argv[0].c_str(), &actions, &attributes,
                                   pointers_to(argv).data(), pointers_to(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

int spawn(const ProcessSpec& spec, Child& child) {
  const int error = spawn(spec.argv, merged_environment(spec.extra_environment),
                          {child.in.read_end, child.out.write_end, child.err.write_end}, child.pid);
  Pipe::shut(child.in.read_end);
  Pipe::shut(child.out.write_end);
  Pipe::shut(child.err.write_end);
  return error;
}

Error cannot_start(const std::string& program, int error) {
  return {error == ENOENT ? Code::missing_tool : Code::io,
          "cannot start " + program + ": " + std::strerror(error),
          error == ENOENT ? "install " + program : "check that it may be executed"};
}

Error no_pipe() {
  return {Code::io, std::string("cannot make a pipe: ") + std::strerror(errno),
          "close programs or raise the limit on open files"};
}

// Writing to a program that has closed its stdin must be an error of that write, not our death. The
// signal is held back on this thread alone, so that a library user's own handling stays as it is.
class SigpipeHeld {
 public:
  SigpipeHeld() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeHeld() {
    const timespec now{};
    if (!was_pending_) {
      while (sigtimedwait(&pipe_, nullptr, &now) == -1 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeHeld(const SigpipeHeld&) = delete;
  SigpipeHeld& operator=(const SigpipeHeld&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

// Moves bytes between us and one child until it closes its output or has to be ended.
class Conversation {
 public:
  Conversation(const ProcessSpec& spec, Child& child, ProcessOutcome& outcome)
      : spec_(spec),
        child_(child),
        outcome_(outcome),
        deadline_(std::chrono::steady_clock::now() + spec.total_timeout),
        last_byte_(std::chrono::steady_clock::now()) {
    for (const int end : {child.in.write_end, child.out.read_end, child.err.read_end}) {
      ::fcntl(end, F_SETFL, ::fcntl(end, F_GETFL) | O_NONBLOCK);
    }
    if (spec.input.empty()) Pipe::shut(child.in.write_end);
  }

  // `exited` when both outputs were closed; otherwise why the child must be ended.
  ProcessEnd run(std::stop_token stop) {
    while (child_.out.read_end >= 0 || child_.err.read_end >= 0) {
      if (stop.stop_requested()) return ProcessEnd::cancelled;
      const SteadyTime now = std::chrono::steady_clock::now();
      if (now >= deadline_) return ProcessEnd::timed_out;
      if (spec_.idle_timeout.count() > 0 && now - last_byte_ >= spec_.idle_timeout) {
        return ProcessEnd::idle_timed_out;
      }
      if (exited_behind_open_pipes()) return ProcessEnd::exited;
      step();
    }
    return ProcessEnd::exited;
  }

 private:
  // A grandchild may keep our pipes open after the child is gone; the child's end is what we wait
  // for.
  bool exited_behind_open_pipes() {
    siginfo_t info{};
    const bool over =
        ::waitid(P_PID, static_cast<id_t>(child_.pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == child_.pid;
    if (over && quiet_rounds_++ > 2) return true;
    return false;
  }

  void step() {
    std::array<pollfd, 3> fds{{{child_.in.write_end, POLLOUT, 0},
                               {child_.out.read_end, POLLIN, 0},
                               {child_.err.read_end, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), static_cast<int>(kPollSlice.count())) <= 0) return;
    if (fds[0].revents != 0) feed();
    if (fds[1].revents != 0) drain(child_.out.read_end, outcome_.out, true);
    if (fds[2].revents != 0) drain(child_.err.read_end, outcome_.err, false);
  }

  void feed() {
    const std::size_t left = spec_.input.size() - outcome_.bytes_sent;
    const ssize_t wrote =
        ::write(child_.in.write_end, spec_.input.data() + outcome_.bytes_sent, left);
    if (wrote > 0) outcome_.bytes_sent += static_cast<std::uint64_t>(wrote);
    const bool gone =
        wrote < 0 && errno != EAGAIN && errno != EINTR;  // it will not read on: not our error
    if (gone || outcome_.bytes_sent == spec_.input.size()) Pipe::shut(child_.in.write_end);
  }

  void drain(int& end, std::string& kept, bool is_stdout) {
    std::array<char, 65536> buffer;
    const ssize_t got = ::read(end, buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return Pipe::shut(end);
    last_byte_ = std::chrono::steady_clock::now();
    quiet_rounds_ = 0;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    outcome_.bytes_received += bytes.size();
    if (is_stdout && spec_.on_output) spec_.on_output(bytes);
    const std::size_t room = spec_.output_limit - std::min(spec_.output_limit, kept.size());
    kept.append(bytes.substr(0, room));
    outcome_.truncated = outcome_.truncated || bytes.size() > room;
  }

  const ProcessSpec& spec_;
  Child& child_;
  ProcessOutcome& outcome_;
  SteadyTime deadline_;
  SteadyTime last_byte_;
  int quiet_rounds_ = 0;
};

// No child of ours to wait for: whoever started us had SIGCHLD ignored, and the kernel threw the
// status away. Then nothing is known about the end, and unknown must not read as exit code 0.
constexpr int kStatusLost = -1;

bool reaped_within(pid_t pid, Milliseconds limit, int& status) {
  const SteadyTime until = std::chrono::steady_clock::now() + limit;
  while (true) {
    const pid_t got = ::waitpid(pid, &status, WNOHANG);
    if (got == pid) return true;
    if (got < 0 && errno != EINTR) {
      status = kStatusLost;
      return true;
    }
    if (std::chrono::steady_clock::now() >= until) return false;
    ::poll(nullptr, 0, 10);
  }
}

// The whole group, politely and then not; returns only when the child is reaped.
int end_group(pid_t pid, Milliseconds grace = kGrace) {
  int status = 0;
  ::kill(-pid, SIGTERM);
  if (!reaped_within(pid, grace, status)) {
    ::kill(-pid, SIGKILL);
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  ::kill(-pid, SIGKILL);  // what the child left behind in its group
  return status;
}

}  // namespace

Result<ProcessOutcome> SystemProcessRunner::run(const ProcessSpec& spec, std::stop_token stop) {
  require(!spec.argv.empty(), "a process needs a program");
  Child child;
  if (!child.in.open() || !child.out.open() || !child.err.open()) return no_pipe();
  if (const int error = spawn(spec, child); error != 0) return cannot_start(spec.argv[0], error);
  ProcessOutcome outcome;
  const SigpipeHeld held;
  outcome.end = Conversation(spec, child, outcome).run(stop);
  int status = 0;
  if (outcome.end != ProcessEnd::exited) {
    end_group(child.pid);
    return outcome;
  }
  // The outputs are closed; a child that lives on behind closed pipes gets the grace and no more.
  if (!reaped_within(child.pid, kGrace, status)) status = end_group(child.pid);
  if (status == kStatusLost) {
    return Error{Code::io,
                 "cannot learn how " + spec.argv[0] +
                     " ended: this program was started with SIGCHLD ignored",
                 "start it with SIGCHLD at its default (not under trap '' CHLD)"};
  }
  if (WIFSIGNALED(status)) {
    outcome.end = ProcessEnd::signalled;
    outcome.signal = WTERMSIG(status);
  } else {
    outcome.exit_code = WEXITSTATUS(status);
  }
  return outcome;
}

Result<std::unique_ptr<SocketProcess>> SocketProcess::start(const std::vector<std::string>& argv) {
  require(!argv.empty(), "a process needs a program");
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return no_pipe();
  std::unique_ptr<SocketProcess> made(new SocketProcess());
  made->socket_ = pair[0];
  int far = pair[1];
  Pipe errors;
  int error = 0;
  const bool piped = errors.open();
  if (piped) {
    // Nobody reads along: a program that complains without end loses words, it does not block.
    for (const int end : {errors.read_end, errors.write_end})
      ::fcntl(end, F_SETFL, ::fcntl(end, F_GETFL) | O_NONBLOCK);
    error = spawn(argv, merged_environment({}), {far, far, errors.write_end}, made->pid_);
    std::swap(made->errors_, errors.read_end);
  }
  Pipe::shut(far);
  if (!piped) return no_pipe();
  if (error != 0) {
    made->pid_ = -1;
    return cannot_start(argv[0], error);
  }
  return made;
}

SocketProcess::~SocketProcess() {
  Pipe::shut(socket_);
  if (pid_ > 0) end_group(pid_, kShortGrace);
  Pipe::shut(errors_);
}

int SocketProcess::release_socket() { return std::exchange(socket_, -1); }

std::string SocketProcess::errors() {
  std::array<char, 4096> buffer;
  ssize_t got = 0;
  while (said_.size() < kSaidLimit && (got = ::read(errors_, buffer.data(), buffer.size())) > 0)
    said_.append(buffer.data(), static_cast<std::size_t>(got));
  return said_;
}

}  // namespace rgt
