// SPDX-License-Identifier: MIT
// Runs programs on this machine: argv only (no shell), bounded output, a deadline that holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace rgt {

struct ProcessSpec {
  std::vector<std::string> argv = {};  // argv[0] is looked up on PATH
  std::string input = {};              // written to stdin, then stdin is closed
  std::vector<std::pair<std::string, std::string>> extra_environment = {};
  Milliseconds total_timeout = Seconds(60);
  Milliseconds idle_timeout = Milliseconds(0);  // 0: none. Time without a byte on stdout or stderr
  std::size_t output_limit = 1u << 20;          // bytes kept of stdout and of stderr, each
  // Called with stdout as it arrives, on the calling thread; for progress. May be empty.
  std::function<void(std::string_view)> on_output = {};
};

enum class ProcessEnd { exited, signalled, timed_out, idle_timed_out, cancelled };

struct ProcessOutcome {
  ProcessEnd end = ProcessEnd::exited;
  int exit_code = -1;  // meaningful for `exited`
  int signal = 0;      // meaningful for `signalled`
  std::string out = {};
  std::string err = {};
  bool truncated = false;        // output_limit was hit; the rest was read and dropped
  std::uint64_t bytes_sent = 0;  // to stdin
  std::uint64_t bytes_received = 0;
};

// The seam for tests. Implementations may be called from several threads at once.
class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  // An Error only if the program could not be started (missing_tool when it is not on PATH).
  virtual Result<ProcessOutcome> run(const ProcessSpec& spec, std::stop_token stop) = 0;
};

// The real one. The child gets its own process group; on timeout or stop the whole group is killed
// (SIGTERM, then SIGKILL after 2 s) and reaped before run() returns.
class SystemProcessRunner final : public ProcessRunner {
 public:
  Result<ProcessOutcome> run(const ProcessSpec& spec, std::stop_token stop) override;
};

// A running program at the far end of a socket that is its stdin and stdout: what ssh calls a
// ProxyCommand. In its own process group. Not thread-safe.
class SocketProcess {
 public:
  static Result<std::unique_ptr<SocketProcess>> start(const std::vector<std::string>& argv);
  // Ends the whole group: SIGTERM, then SIGKILL after 200 ms, whatever it makes of the first.
  ~SocketProcess();
  SocketProcess(const SocketProcess&) = delete;
  SocketProcess& operator=(const SocketProcess&) = delete;

  int release_socket();  // our end; the caller closes it. -1 when asked again
  std::string errors();  // what it said on stderr so far, at most about 64 KiB; does not wait

 private:
  SocketProcess() = default;
  pid_t pid_ = -1;
  int socket_ = -1;
  int errors_ = -1;
  std::string said_ = {};
};

}  // namespace rgt
