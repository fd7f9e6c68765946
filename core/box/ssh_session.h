// SPDX-License-Identifier: MIT
// SshSession: one authenticated connection, libssh behind it (only the ssh_*.cc of this room speak
// it). All calls are non-blocking underneath: each ends when its patience is over and notices a
// stop request within 100 ms. Not thread-safe: one user at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/box/boxes.h"
#include "core/box/patience.h"
#include "core/box/shell.h"
#include "core/box/ssh_config.h"

struct ssh_session_struct;

namespace rgt {

class SshSession {
 public:
  // Connects as `ssh` would; checks the host key against every known_hosts file; authenticates
  // (agent, then key files). Unknown key: host_key_unknown with the fingerprint. Another key than
  // known, or a revoked one: host_key_changed.
  static Result<std::unique_ptr<SshSession>> connect(const SshTarget& target,
                                                     const SshSettings& settings,
                                                     ProcessRunner& processes,
                                                     const Patience& patience);
  ~SshSession();
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;

  // Makes sure that a shell waits for this call on the far side, or the script itself where it
  // stayed; says how many answers it had to wait for, 0 if one was there. unreachable means that
  // the connection is dead and that nothing of a script was sent; remote_failed that the box runs
  // no commands.
  Result<int> ready(const ScriptCall& call, const Patience& patience);

  // Runs the call that ready() was asked for. After an Error the session is of no use.
  // ScriptOutcome::round_trips counts from here.
  Result<ScriptOutcome> run(const ScriptCall& call, const Patience& patience);

  // Between calls: prepares the next shell unless a script stays, answers the box's own
  // keep-alives, and sends ours when the link was silent for the interval. Never blocks.
  struct Tended {
    int socket = -1;                      // tend again when it can be read,
    Milliseconds wait = Milliseconds(0);  // and after so long in any case
    bool alive = false;                   // false: drop the session
  };
  Tended tend();

  const std::string& host_key() const { return host_key_; }
  // For those of this room that speak libssh themselves; run() and the like must not be mixed in.
  ssh_session_struct* libssh() const;

 private:
  struct Handles;
  struct Upkeep {
    Milliseconds interval = Milliseconds(0);
    int count_max = 0;
  };
  SshSession(std::unique_ptr<Handles> handles, std::string alias, const Upkeep& upkeep);
  void listen();
  void take_in();
  void drop_stale();
  bool stays_here(const ScriptCall& call) const;
  Result<int> prepare(const Patience& patience);
  bool end_staying(const Patience& patience);
  Result<ScriptOutcome> run_to_stay(const ScriptCall& call, const Patience& patience);
  void open_next();
  bool keep_alive();
  Error gone() const;
  Error runs_nothing() const;

  std::unique_ptr<Handles> handles_;
  std::string alias_;
  Upkeep upkeep_;
  std::string host_key_ = {};
  std::uint64_t heard_bytes_ = 0;
  std::chrono::steady_clock::time_point last_heard_ = std::chrono::steady_clock::now();
  bool asked_ = false;          // a keep-alive is under way
  bool one_at_a_time_ = false;  // the box opens no second channel beside a busy one
};

}  // namespace rgt
