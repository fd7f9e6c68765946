// SPDX-License-Identifier: MIT
// SshSession: one authenticated connection, libssh behind it (the only room that includes it). All
// calls are non-blocking underneath: each ends when its patience is over and notices a stop request
// within 100 ms. Not thread-safe: one user at a time.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/box/boxes.h"
#include "core/box/patience.h"
#include "core/box/shell.h"

namespace rgt {

class SshSession {
 public:
  // Connects as `ssh ALIAS` would, within settings.connect_timeout; checks the host key against
  // every known_hosts file; authenticates (agent, then key files). Unknown key: host_key_unknown
  // with the fingerprint. Another key than known, or a revoked one: host_key_changed.
  static Result<std::unique_ptr<SshSession>> connect(const std::string& alias,
                                                     const SshSettings& settings,
                                                     ProcessRunner& processes,
                                                     const Patience& patience);
  ~SshSession();
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;

  // Makes sure that a channel is open and that the far side is really there; says how many answers
  // it had to wait for. An Error means that the connection is dead: nothing of a script was sent.
  Result<int> ready(const Patience& patience);

  // Runs one script on the channel that ready() left open. After an Error the session is of no use.
  Result<ScriptOutcome> run(const ScriptCall& call, const Patience& patience);

  const std::string& host_key() const { return host_key_; }

 private:
  struct Handles;
  SshSession(std::unique_ptr<Handles> handles, std::string alias);
  std::unique_ptr<Handles> handles_;
  std::string alias_;
  std::string host_key_ = {};
  std::chrono::steady_clock::time_point last_heard_ = {};
};

}  // namespace rgt
