// SPDX-License-Identifier: MIT
#include "core/box/ssh_prepared.h"

#include "core/box/bootstrap.h"

namespace rgt {

PreparedShell::PreparedShell(ssh_session session)
    : channel_(ssh_channel_new(session)),
      state_(channel_ == nullptr ? State::broken : State::opening) {
  step(false);
}

PreparedShell::~PreparedShell() {
  if (channel_ != nullptr) ssh_channel_free(channel_);
}

PreparedShell::State PreparedShell::step(bool start) {
  if (state_ == State::opening) {
    const int code = ssh_channel_open_session(channel_);
    if (code == SSH_AGAIN) return state_;
    state_ = code == SSH_OK ? State::opened : State::broken;
    answers_ = 1;
  }
  if (state_ == State::opened && start) state_ = State::starting;
  if (state_ == State::starting) {
    const int code = ssh_channel_request_exec(channel_, kBootstrapCommand.c_str());
    if (code == SSH_AGAIN) return state_;
    state_ = code == SSH_OK ? State::started : State::refused;
    answers_ = 2;
  }
  return state_;
}

// libssh calls a channel closed also before it is open.
bool PreparedShell::is_over() const {
  if (channel_ == nullptr) return true;
  if (state_ == State::opening) return false;
  return ssh_channel_is_closed(channel_) != 0 || ssh_channel_is_eof(channel_) != 0;
}

}  // namespace rgt
