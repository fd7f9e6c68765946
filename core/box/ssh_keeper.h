// SPDX-License-Identifier: MIT
// SshKeeper: looks after warm connections between calls, on one thread for all boxes: prepares the
// next call's shell, answers the boxes' keep-alives and sends ours, lets go of what died. Without
// it a box that asks "are you there" would drop us between two ticks, and every tick would be a
// cold one.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/box/ssh_shell.h"

namespace rgt {

class SshKeeper {
 public:
  SshKeeper();
  ~SshKeeper();
  SshKeeper(const SshKeeper&) = delete;
  SshKeeper& operator=(const SshKeeper&) = delete;

  void add(std::shared_ptr<SshShell> shell);
  void wake();  // a call ended; from any thread

 private:
  void serve(const std::stop_token& stop);
  std::vector<std::shared_ptr<SshShell>> shells();

  int event_ = -1;
  std::mutex mutex_ = {};
  std::vector<std::shared_ptr<SshShell>> shells_ = {};
  std::jthread thread_ = {};
};

}  // namespace rgt
