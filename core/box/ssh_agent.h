// SPDX-License-Identifier: MIT
// SshAgent: stands between libssh and the user's ssh-agent. libssh waits for an agent as long as
// the agent likes and offers every key it holds; here the waiting ends with the call's patience,
// and only chosen keys are shown (IdentitiesOnly).
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "core/box/patience.h"

namespace rgt {

class SshAgent {
 public:
  // Connects to the agent's socket and asks which keys it holds. unreachable if it does not answer
  // within 2 s or half of what is left of `patience`: a working one answers in milliseconds.
  static Result<std::unique_ptr<SshAgent>> connect(const std::string& socket_path,
                                                   const Patience& patience);
  ~SshAgent();
  SshAgent(const SshAgent&) = delete;
  SshAgent& operator=(const SshAgent&) = delete;

  // The public keys as they travel in the protocol.
  const std::vector<std::string>& keys() const { return keys_; }

  // A socket that speaks the agent protocol and shows these keys only, in this order. The caller
  // owns it. It is served until this object goes or patience is over; then it reads as closed.
  Result<int> serve(const std::vector<std::string>& keys);

 private:
  SshAgent(int agent, Patience patience) : agent_(agent), patience_(std::move(patience)) {}
  void relay(const Patience& patience, int near, const std::string& list) const;

  int agent_;
  Patience patience_;
  std::vector<std::string> keys_ = {};
  std::stop_source ending_ = {};
  std::jthread thread_ = {};
};

}  // namespace rgt
