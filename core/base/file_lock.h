// SPDX-License-Identifier: MIT
// FileLock: one worker at a time on this machine, across processes. Advisory (flock), released when
// the object or the process dies, so a crash leaves nothing behind but an empty file.
#pragma once

#include <filesystem>

#include "core/base/result.h"

namespace rgt {

class FileLock {
 public:
  // conflict if another process (or thread) holds it now; io if the file cannot be made.
  static Result<FileLock> try_take(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace rgt
