// SPDX-License-Identifier: MIT
// SshShell: a box behind an ssh alias. Keeps one warm connection, and makes a new one when it must.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "core/base/process.h"
#include "core/base/turn.h"
#include "core/box/boxes.h"
#include "core/box/patience.h"
#include "core/box/shell.h"
#include "core/box/ssh_session.h"

namespace rgt {

class SshShell final : public Shell {
 public:
  SshShell(std::string alias, SshSettings settings, ProcessRunner& processes)
      : alias_(std::move(alias)), settings_(std::move(settings)), processes_(processes) {}

  // A connection that turns out dead before anything of the script was sent is replaced once. After
  // that a script is never sent twice: what it does may not be safe to do twice. Waiting for
  // another call, connecting and the script share the call's one deadline.
  Result<ScriptOutcome> run(const ScriptCall& call, std::stop_token stop) override;
  std::string host_key() const override;

 private:
  Result<std::unique_lock<Turn>> wait_for_turn(const Patience& patience);
  // A session that is there; says how many answers were waited for, and whether it is a new one.
  Result<int> connect(const Patience& patience, bool& anew);

  const std::string alias_;
  const SshSettings settings_;
  ProcessRunner& processes_;           // not owned
  mutable Turn mutex_ = {};            // one call at a time on the connection
  mutable std::mutex key_mutex_ = {};  // host_key() must not wait for a call
  std::unique_ptr<SshSession> session_ = {};
  std::string host_key_ = {};
};

}  // namespace rgt
