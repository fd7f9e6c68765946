// SPDX-License-Identifier: MIT
// RsyncTransfer: pulls with the rsync program, over the OpenSSH client with the same configuration
// and the same strictness about host keys, several of them side by side. The local box is a plain
// copy by rsync.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/process.h"
#include "core/box/boxes.h"
#include "core/box/patience.h"
#include "core/box/pull_paths.h"
#include "core/box/shell.h"
#include "core/box/transfer.h"

namespace rgt {

class RsyncTransfer final : public Transfer {
 public:
  // `shell` reaches the same box.
  RsyncTransfer(std::string box, SshSettings settings, ProcessRunner& processes,
                std::shared_ptr<Shell> shell)
      : box_(std::move(box)),
        settings_(std::move(settings)),
        processes_(processes),
        shell_(std::move(shell)) {}
  Result<PullReport> pull(const PullRequest& request, std::stop_token stop) override;

 private:
  Result<PullReport> run_rsync(const PullRequest& request, const std::vector<PullFile>& files,
                               const std::function<void(std::uint64_t bytes)>& on_bytes,
                               const Patience& patience) const;
  Error explain(const ProcessOutcome& outcome, const PullRequest& request) const;

  const std::string box_;
  const SshSettings settings_;
  ProcessRunner& processes_;  // not owned
  const std::shared_ptr<Shell> shell_;
};

}  // namespace rgt
