// SPDX-License-Identifier: MIT
#include "core/box/ssh_shell.h"

namespace rgt {

Result<ScriptOutcome> SshShell::run(const ScriptCall& call, std::stop_token stop) {
  const std::scoped_lock lock(mutex_);
  int waited = 0;
  bool connected_anew = false;
  if (session_ != nullptr) {
    const auto ready = session_->ready(stop);
    if (ready)
      waited = *ready;
    else
      session_.reset();
  }
  if (session_ == nullptr) {
    auto connected = SshSession::connect(alias_, settings_, stop);
    if (!connected) return connected.error();
    session_ = std::move(*connected);
    connected_anew = true;
    {
      const std::scoped_lock key_lock(key_mutex_);
      host_key_ = session_->host_key();
    }
    const auto ready = session_->ready(stop);
    if (!ready) {
      session_.reset();
      return ready.error();
    }
    waited = *ready;
  }
  auto outcome = session_->run(call, stop);
  if (!outcome) {
    session_.reset();
    return outcome;
  }
  outcome->round_trips = waited + 1;
  outcome->connected_anew = connected_anew;
  return outcome;
}

std::string SshShell::host_key() const {
  const std::scoped_lock lock(key_mutex_);
  return host_key_;
}

}  // namespace rgt
