// SPDX-License-Identifier: MIT
// SftpTransfer: pulls by SFTP (libssh), for boxes that have no rsync. The same promises; only a
// comparison of contents begins each file anew, since SFTP cannot send differences.
#pragma once

#include <memory>
#include <string>

#include "core/base/process.h"
#include "core/box/boxes.h"
#include "core/box/shell.h"
#include "core/box/transfer.h"

namespace rgt {

class SftpTransfer final : public Transfer {
 public:
  // `shell` reaches the same box, which is no local one.
  SftpTransfer(std::string box, SshSettings settings, ProcessRunner& processes,
               std::shared_ptr<Shell> shell)
      : box_(std::move(box)),
        settings_(std::move(settings)),
        processes_(processes),
        shell_(std::move(shell)) {}
  // missing_tool where the box's sshd offers no SFTP.
  Result<PullReport> pull(const PullRequest& request, std::stop_token stop) override;

 private:
  const std::string box_;
  const SshSettings settings_;
  ProcessRunner& processes_;  // not owned
  const std::shared_ptr<Shell> shell_;
};

}  // namespace rgt
