// SPDX-License-Identifier: MIT
// Shell: run one POSIX sh script on a box and get its answer. The seam between "what to ask" and
// "how to reach". Nothing is ever spliced into a command line: the far side is started with one
// constant bootstrap, and script, arguments and input all travel on its stdin (see bootstrap.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace rgt {

struct ScriptCall {
  std::string_view script = {};             // POSIX sh text; sees args as $1.. and `input` on stdin
  std::vector<std::string> args = {};       // any bytes but NUL
  std::string input = {};                   // any bytes; the only way a secret may travel
  Milliseconds idle_timeout = Seconds(20);  // longest silence we take before we call it a hang
  Milliseconds total_timeout = Seconds(60);  // the call ends by then, whatever happens
  std::size_t output_limit = 4u << 20;       // bytes of stdout kept; stderr keeps at most 64 KiB
  // The script only reads, so it may be asked twice; and with the one argument `stay` it waits for
  // requests instead (serve() in onbox/look.sh): a line "NONCE args" and `input`, answered between
  // a line NONCE and a line "NONCE end". `args` must then be words of plain characters, and `input`
  // must say itself where it ends. A shell that can leaves such a script on the box.
  bool stays = false;
};

struct ScriptOutcome {
  int exit_code = -1;    // 128+signal if the script died of one
  std::string out = {};  // untrusted bytes
  std::string err = {};  // untrusted bytes
  bool truncated = false;
  std::uint64_t bytes_sent = 0;  // payload bytes, for the cost of a tick
  std::uint64_t bytes_received = 0;
  int round_trips = 1;          // request/answer pairs this call needed on an open connection
  bool connected_anew = false;  // true if the call had to open the connection first
};

// Errors: unreachable, auth_failed, host_key_unknown, host_key_changed, timeout, cancelled, io.
// A script that fails is an outcome, not an error.
class Shell {
 public:
  virtual ~Shell() = default;
  // Safe from several threads: calls to one box are served one after another.
  virtual Result<ScriptOutcome> run(const ScriptCall& call, std::stop_token stop) = 0;
  // "SHA256:..." of the host key the connection was made with; "local" for this machine; empty
  // before the first successful run.
  virtual std::string host_key() const = 0;
};

}  // namespace rgt
