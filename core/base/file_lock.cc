// SPDX-License-Identifier: MIT
#include "core/base/file_lock.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/files.h"

namespace rgt {

Result<FileLock> FileLock::try_take(const std::filesystem::path& path) {
  if (auto made = make_directories(path.parent_path()); !made) return made.error();
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) {
    return Error{Code::io, "cannot lock " + path.string() + ": " + std::strerror(errno),
                 "check the folder and its permissions"};
  }
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    ::close(file);
    return Error{Code::conflict,
                 "another call is at work here now (" + path.string() + " is locked)",
                 "wait for it to end, then call again: it finds what the other one did"};
  }
  return FileLock(file);
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace rgt
