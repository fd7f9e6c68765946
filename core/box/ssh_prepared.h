// SPDX-License-Identifier: MIT
// PreparedShell: a channel on which the bootstrap (bootstrap.h) already waits for its script. Over
// SSH a channel costs a turn to open, another to start a command on, and takes no input before
// that; prepared ahead, a call is one request and one answer. Each channel serves one script, so
// nothing that a script leaves behind can get into another one's answer.
#pragma once

#include <chrono>

#include <libssh/libssh.h>

namespace rgt {

class PreparedShell {
 public:
  enum class State {
    opening,   // the channel is asked for
    opened,    // there, and nothing runs on it
    starting,  // the bootstrap is asked for
    started,   // it runs, and takes a script
    refused,   // the box runs no commands
    broken,    // no channel to be had
  };

  explicit PreparedShell(ssh_session session);
  ~PreparedShell();
  PreparedShell(const PreparedShell&) = delete;
  PreparedShell& operator=(const PreparedShell&) = delete;

  // As far as it goes without waiting; past `opened` only if `start`. Never blocks.
  State step(bool start);

  bool is_over() const;                     // the far side ended it
  int answers() const { return answers_; }  // of the box that it took so far: 2 when started
  std::chrono::steady_clock::time_point since() const { return since_; }
  ssh_channel channel() const { return channel_; }

 private:
  ssh_channel channel_;
  State state_;
  int answers_ = 0;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace rgt
