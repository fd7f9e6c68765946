// SPDX-License-Identifier: MIT
#include "core/artifact/file_bytes.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rgt {
namespace {

constexpr std::size_t kPiece =
    1u << 20;  // bytes: larger reads were not faster, smaller ones were slower

std::int64_t written_at(const struct stat& info) {
  return std::int64_t{info.st_mtim.tv_sec} * 1000000000 + info.st_mtim.tv_nsec;
}

}  // namespace

Result<FileBytes> FileBytes::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO that somebody left there must not wait for a writer.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    return Error{errno == ENOENT ? Code::not_found : Code::io,
                 "cannot open " + path.string() + ": " + std::strerror(errno),
                 "check that the file exists and may be read"};
  }
  struct stat info {};
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(file);
    return Error{Code::invalid_argument, path.string() + " is not a regular file", "name a file"};
  }
  return FileBytes(file, 0, static_cast<std::uint64_t>(info.st_size), written_at(info));
}

Result<FileBytes> FileBytes::window(std::uint64_t at, std::uint64_t size) const {
  if (at > size_ || size > size_ - at)
    return Error{Code::corrupt,
                 std::to_string(size) + " bytes from " + std::to_string(at) +
                     " on are not in a file of " + std::to_string(size_),
                 "it was cut"};
  const int again = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (again < 0)
    return Error{Code::io, std::string("cannot open a file twice: ") + std::strerror(errno),
                 "close some files"};
  return FileBytes(again, base_ + at, size, written_);
}

bool FileBytes::unchanged() const {
  struct stat now {};
  return ::fstat(descriptor_, &now) == 0 && static_cast<std::uint64_t>(now.st_size) == size_ &&
         written_at(now) == written_;
}

FileBytes::~FileBytes() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> FileBytes::read_into(std::uint64_t at, char* bytes, std::size_t count) const {
  if (at > size_ || count > size_ - at)
    return Error{Code::corrupt,
                 "the bytes end before " + std::to_string(at) + "+" + std::to_string(count),
                 "it was cut, or its directory lies"};
  while (count > 0) {
    const ssize_t got = ::pread(descriptor_, bytes, count, static_cast<off_t>(base_ + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Error{Code::io, std::string("cannot read: ") + std::strerror(errno), "check the disk"};
    if (got == 0) {
      return Error{Code::corrupt,
                   "the file ends at byte " + std::to_string(at) + ", " + std::to_string(count) +
                       " bytes early",
                   "it was cut, or is still being written"};
    }
    bytes += got;
    at += static_cast<std::uint64_t>(got);
    count -= static_cast<std::size_t>(got);
  }
  return {};
}

Result<std::string> FileBytes::read(std::uint64_t at, std::size_t count) const {
  if (at > size_ || count > size_ - at) {
    return Error{Code::corrupt,
                 "bytes " + std::to_string(at) + " to " + std::to_string(at) + "+" +
                     std::to_string(count) + " are not in a file of " + std::to_string(size_),
                 "it was cut, or its directory lies"};
  }
  std::string bytes(count, '\0');
  if (auto done = read_into(at, bytes.data(), count); !done) return done.error();
  return bytes;
}

Result<void> FileBytes::for_each_piece(std::uint64_t at, std::uint64_t count, std::stop_token stop,
                                       const std::function<void(std::string_view)>& take) const {
  std::vector<char> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, count)));
  while (count > 0) {
    if (stop.stop_requested()) return Error{Code::cancelled, "stopped while reading", "call again"};
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, count));
    if (auto done = read_into(at, buffer.data(), size); !done) return done.error();
    take({buffer.data(), size});
    at += size;
    count -= size;
  }
  return {};
}

}  // namespace rgt
