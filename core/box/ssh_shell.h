// SPDX-License-Identifier: MIT
// SshShell: a box behind an ssh alias. Keeps one warm connection, and makes a new one when it must.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "core/box/boxes.h"
#include "core/box/shell.h"
#include "core/box/ssh_session.h"

namespace rgt {

class SshShell final : public Shell {
 public:
  SshShell(std::string alias, SshSettings settings)
      : alias_(std::move(alias)), settings_(std::move(settings)) {}

  // A connection that turns out dead before anything of the script was sent is replaced once. After
  // that a script is never sent twice: what it does may not be safe to do twice.
  Result<ScriptOutcome> run(const ScriptCall& call, std::stop_token stop) override;
  std::string host_key() const override;

 private:
  const std::string alias_;
  const SshSettings settings_;
  mutable std::mutex mutex_ = {};      // one call at a time on the connection
  mutable std::mutex key_mutex_ = {};  // host_key() must not wait for a call
  std::unique_ptr<SshSession> session_ = {};
  std::string host_key_ = {};
};

}  // namespace rgt
