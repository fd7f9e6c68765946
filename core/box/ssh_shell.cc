// SPDX-License-Identifier: MIT
#include "core/box/ssh_shell.h"

#include <chrono>

#include "core/base/text.h"
#include "core/box/ssh_redial.h"

namespace rgt {
namespace {

constexpr Milliseconds kLockSlice(100);     // a stop request is seen within this
constexpr Milliseconds kWhileBusy(60'000);  // the call that uses the box tells when it is done

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

Result<void> SshShell::dial(const Patience& whole) {
  const Patience patience = whole.at_most(settings_.connect_timeout);
  auto target = read_ssh_target(alias_, settings_, processes_, patience);
  if (!target) return target.error();
  address_ = to_lower(target->host) + ":" + target->port;
  RedialBook* const book = settings_.redial.get();
  if (book != nullptr) {
    if (auto allowed = book->may_dial(address_, alias_, last_mended(*target, settings_)); !allowed)
      return allowed;
  }
  auto connected = SshSession::connect(*target, settings_, processes_, patience);
  if (!connected) {
    if (book != nullptr && !patience.stop.stop_requested())
      book->failed(address_, connected.error());
    return connected.error();
  }
  session_ = std::move(*connected);
  const std::scoped_lock key_lock(key_mutex_);
  host_key_ = session_->host_key();
  return {};
}

Result<int> SshShell::connect(const ScriptCall& call, const Patience& patience, bool& anew) {
  if (session_ != nullptr) {
    auto ready = session_->ready(call, patience);
    if (ready || patience.over()) return ready;
    session_.reset();
  }
  if (auto dialled = dial(patience); !dialled) return dialled.error();
  anew = true;
  return session_->ready(call, patience);
}

Result<ScriptOutcome> SshShell::run_in_turn(const ScriptCall& call, const Patience& patience) {
  bool anew = false;
  const auto waited = connect(call, patience, anew);
  auto outcome = waited ? session_->run(call, patience) : Result<ScriptOutcome>(waited.error());
  if (!outcome) session_.reset();
  if (anew && settings_.redial != nullptr) {
    // A box that lets us in and then drops us must not be dialled without end either.
    if (outcome) settings_.redial->reached(address_);
    if (!outcome && !patience.stop.stop_requested())
      settings_.redial->failed(address_, outcome.error());
  }
  if (!outcome) return outcome;
  outcome->round_trips += *waited;
  outcome->connected_anew = anew;
  return outcome;
}

Result<ScriptOutcome> SshShell::run(const ScriptCall& call, std::stop_token stop) {
  const Patience patience{Patience::Steady::now() + call.total_timeout, std::move(stop)};
  auto outcome = [&]() -> Result<ScriptOutcome> {
    const auto turn = wait_for_turn(patience);
    if (!turn) return turn.error();
    return run_in_turn(call, patience);
  }();
  used_ = true;
  if (after_call_) after_call_();
  return outcome;
}

SshShell::Tended SshShell::tend() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return {-1, kWhileBusy};
  if (session_ == nullptr) return {-1, Milliseconds::max()};
  const SshSession::Tended tended = session_->tend();
  if (!tended.alive) session_.reset();
  return tended.alive ? Tended{tended.socket, tended.wait} : Tended{-1, Milliseconds::max()};
}

std::string SshShell::host_key() const {
  const std::scoped_lock lock(key_mutex_);
  return host_key_;
}

}  // namespace rgt
