// SPDX-License-Identifier: MIT
#include "core/base/files.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/digest.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

Error system_error(const std::string& doing, const fs::path& path, int error) {
  std::string next = "check the path and its permissions";
  if (error == ENOSPC) next = "free space or inodes on the disk that holds it (df -h, df -i)";
  if (error == EROFS) next = "the disk is mounted read-only; choose another place";
  return Error{error == ENOENT ? Code::not_found : Code::io,
               "cannot " + doing + " " + path.string() + ": " + std::strerror(error), next};
}

// Owns a file descriptor for a scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(file, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

}  // namespace

Result<std::string> read_file(const fs::path& path, std::uint64_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error("open", path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error("stat", path, errno);
  if (S_ISDIR(info.st_mode)) {
    return Error{Code::io, path.string() + " is a folder; expected a file", "name a file"};
  }
  std::string bytes;
  char buffer[65536];
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read", path, errno);
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
    if (bytes.size() > limit) {
      return Error{Code::limit,
                   path.string() + " is larger than " + std::to_string(limit) + " bytes",
                   "give a smaller file"};
    }
  }
}

Result<void> write_file_atomically(const fs::path& path, std::string_view bytes, unsigned mode) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (auto made = make_directories(folder); !made) return made.error();
  const fs::path temporary = path.string() + ".new-" + random_hex(6);
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.get() < 0) return system_error("create", temporary, errno);
    if (!write_all(file.get(), bytes) || ::fsync(file.get()) != 0) {
      const int error = errno;
      ::unlink(temporary.c_str());
      return system_error("write", temporary, error);
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return system_error("rename to", path, error);
  }
  // Without this the rename itself may be lost in a power cut.
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) {
    return system_error("sync", folder, errno);
  }
  return {};
}

Result<void> make_directories(const fs::path& path, unsigned mode) {
  fs::path sofar;
  for (const fs::path& part : path) {
    sofar /= part;
    if (::mkdir(sofar.c_str(), mode) == 0 || errno == EEXIST || errno == EISDIR) continue;
    const int error = errno;
    struct stat info {};
    // A parent we may not write to is fine as long as it is there.
    if (::stat(sofar.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
    return system_error("make folder", sofar, error);
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
    return system_error("make folder", path, ENOTDIR);
  }
  return {};
}

Result<fs::path> state_directory() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const std::string chosen = variable("RGT_STATE_DIR"); !chosen.empty()) {
    return fs::absolute(chosen);
  }
  if (const std::string base = variable("XDG_STATE_HOME"); !base.empty() && base[0] == '/') {
    return fs::path(base) / "remote-gpu-trainer";
  }
  if (const std::string home = variable("HOME"); !home.empty()) {
    return fs::path(home) / ".local" / "state" / "remote-gpu-trainer";
  }
  return Error{Code::invalid_argument,
               "no place for the ledger: neither RGT_STATE_DIR nor HOME is set",
               "set RGT_STATE_DIR to a folder on this machine"};
}

Result<FreeSpace> free_space(const fs::path& path) {
  fs::path existing = fs::absolute(path);
  struct statvfs space {};
  while (::statvfs(existing.c_str(), &space) != 0) {
    if (errno != ENOENT || !existing.has_relative_path()) {
      return system_error("measure", existing, errno);
    }
    existing = existing.parent_path();
  }
  return FreeSpace{static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize,
                   static_cast<std::uint64_t>(space.f_favail)};
}

}  // namespace rgt
