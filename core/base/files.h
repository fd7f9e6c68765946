// SPDX-License-Identifier: MIT
// Files on this machine: bounded reads, writes that are whole or not there at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace rgt {

// The whole file; Code::limit if it is larger than `limit` bytes, not_found or io otherwise.
Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t limit);

// Writes a temporary beside `path` (mode as given), syncs it, renames it over `path`, and syncs the
// directory. After a crash there is the old file or the new one, never half. Creates parent
// folders.
Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                                   unsigned mode = 0600);

Result<void> make_directories(const std::filesystem::path& path, unsigned mode = 0700);

// Where rgt keeps its ledger and pulled artifacts: $RGT_STATE_DIR, else
// $XDG_STATE_HOME/remote-gpu-trainer, else ~/.local/state/remote-gpu-trainer. Not created here.
Result<std::filesystem::path> state_directory();

struct FreeSpace {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;  // 0 where the filesystem does not count them
};
// For the filesystem that holds `path`, or its nearest existing parent.
Result<FreeSpace> free_space(const std::filesystem::path& path);

}  // namespace rgt
