// SPDX-License-Identifier: MIT
// Boxes: the one place that turns a box's name into a way to reach it. `local` is this machine; any
// other name is an alias of the ssh configuration, exactly as `ssh NAME` would read it.
// Keeps one warm Shell per box; safe from several threads.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/box/shell.h"
#include "core/box/transfer.h"

namespace rgt {

class RedialBook;

inline constexpr std::string_view kLocalBox = "local";

struct SshSettings {
  std::filesystem::path config_file = {};  // empty: ~/.ssh/config; RGT_SSH_CONFIG sets it
  Milliseconds connect_timeout =
      Seconds(10);                          // TCP + key exchange + auth; a healthy one takes < 3 s
  std::shared_ptr<RedialBook> redial = {};  // what failed lately; none: any try is allowed
  // For a server: connections are looked after between calls, so that the next one finds a link
  // that is proven alive and a shell that waits. A single command has no next call.
  bool keep_warm = false;
};

class Boxes {
 public:
  virtual ~Boxes() = default;
  // invalid_argument if the name cannot be a box (empty, starts with '-', control characters,
  // spaces, quotes, '@' allowed). Does not connect.
  virtual Result<std::shared_ptr<Shell>> shell(const std::string& box) = 0;
  virtual Result<std::shared_ptr<Transfer>> transfer(const std::string& box) = 0;
};

// The real ones: LocalShell and SshShell (libssh), RsyncTransfer and SftpTransfer.
std::unique_ptr<Boxes> make_boxes(SshSettings settings, ProcessRunner& processes);

}  // namespace rgt
