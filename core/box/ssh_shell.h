// SPDX-License-Identifier: MIT
// SshShell: a box behind an ssh alias. Keeps one warm connection, and makes a new one when it must
// and may.
#pragma once

#include <atomic>
#include <functional>
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
  // `after_call` is called when a call has ended and the connection is free; may be empty.
  SshShell(std::string alias, SshSettings settings, ProcessRunner& processes,
           std::function<void()> after_call)
      : alias_(std::move(alias)),
        settings_(std::move(settings)),
        processes_(processes),
        after_call_(std::move(after_call)) {}

  // A connection that turns out dead before anything of the script was sent is replaced once, if
  // the book of failed tries allows one now. After that a script is never sent twice: what it does
  // may not be safe to do twice. Waiting for another call, connecting and the script share the
  // call's one deadline.
  Result<ScriptOutcome> run(const ScriptCall& call, std::stop_token stop) override;
  std::string host_key() const override;

  // For the keeper: looks after the connection if no call uses it. Never waits.
  struct Tended {
    int socket = -1;         // tend again when it can be read; -1: nothing to wait for
    Milliseconds wait = {};  // and after so long in any case
  };
  Tended tend();
  bool was_used() { return used_.exchange(false); }  // by a call since this was asked last

 private:
  Result<std::unique_lock<Turn>> wait_for_turn(const Patience& patience);
  Result<ScriptOutcome> run_in_turn(const ScriptCall& call, const Patience& patience);
  // A session that is there; says how many answers were waited for, and whether it is a new one.
  Result<int> connect(const ScriptCall& call, const Patience& patience, bool& anew);
  Result<void> dial(const Patience& patience);

  const std::string alias_;
  const SshSettings settings_;
  ProcessRunner& processes_;  // not owned
  const std::function<void()> after_call_;
  std::atomic<bool> used_ = false;
  mutable Turn mutex_ = {};            // one call at a time on the connection
  mutable std::mutex key_mutex_ = {};  // host_key() must not wait for a call
  std::unique_ptr<SshSession> session_ = {};
  std::string address_ = {};  // what was dialled for session_
  std::string host_key_ = {};
};

}  // namespace rgt
