// SPDX-License-Identifier: MIT
#include "core/box/ssh_shell.h"

#include <chrono>

namespace rgt {
namespace {

constexpr Milliseconds kLockSlice(100);  // a stop request is seen within this

}  // namespace

// Another call may hold the connection for a minute; a stop or our own deadline must not wait.
Result<std::unique_lock<Turn>> SshShell::wait_for_turn(const Patience& patience) {
  std::unique_lock lock(mutex_, std::defer_lock);
  while (!lock.try_lock_for(std::min(kLockSlice, patience.left()))) {
    if (patience.stop.stop_requested())
      return Error{Code::cancelled, "stopped while another call used the box", "call again"};
    if (patience.over()) {
      return Error{Code::timeout,
                   "another call kept " + alias_ + " busy until this one's time was up",
                   "call again"};
    }
  }
  return lock;
}

Result<int> SshShell::connect(const Patience& patience, bool& anew) {
  if (session_ != nullptr) {
    auto ready = session_->ready(patience);
    if (ready || patience.over()) return ready;
    session_.reset();
  }
  auto connected = SshSession::connect(alias_, settings_, processes_, patience);
  if (!connected) return connected.error();
  session_ = std::move(*connected);
  anew = true;
  const std::scoped_lock key_lock(key_mutex_);
  host_key_ = session_->host_key();
  return session_->ready(patience);
}

Result<ScriptOutcome> SshShell::run(const ScriptCall& call, std::stop_token stop) {
  const Patience patience{Patience::Steady::now() + call.total_timeout, std::move(stop)};
  const auto turn = wait_for_turn(patience);
  if (!turn) return turn.error();
  bool connected_anew = false;
  const auto waited = connect(patience, connected_anew);
  if (!waited) {
    session_.reset();
    return waited.error();
  }
  auto outcome = session_->run(call, patience);
  if (!outcome) {
    session_.reset();
    return outcome;
  }
  outcome->round_trips = *waited + 1;
  outcome->connected_anew = connected_anew;
  return outcome;
}

std::string SshShell::host_key() const {
  const std::scoped_lock lock(key_mutex_);
  return host_key_;
}

}  // namespace rgt
