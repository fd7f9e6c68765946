// SPDX-License-Identifier: MIT
// RsyncTransfer: pulls with the rsync program, over the OpenSSH client with the same configuration
// and the same strictness about host keys. The local box is a plain copy by rsync.
#pragma once

#include <string>

#include "core/base/process.h"
#include "core/box/boxes.h"
#include "core/box/transfer.h"

namespace rgt {

class RsyncTransfer final : public Transfer {
 public:
  RsyncTransfer(std::string box, SshSettings settings, ProcessRunner& processes)
      : box_(std::move(box)), settings_(std::move(settings)), processes_(processes) {}
  Result<PullReport> pull(const PullRequest& request, std::stop_token stop) override;

 private:
  Error explain(const ProcessOutcome& outcome, const PullRequest& request) const;

  const std::string box_;
  const SshSettings settings_;
  ProcessRunner& processes_;  // not owned
};

}  // namespace rgt
