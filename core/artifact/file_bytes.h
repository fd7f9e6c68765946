// SPDX-License-Identifier: MIT
// FileBytes: the bytes of one file by position, through pread. No mapping: a file that is cut while
// it is read is an error here, never a SIGBUS. Reading is safe from several threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"

namespace rgt {

class FileBytes {
 public:
  static Result<FileBytes> open(const std::filesystem::path& path);  // regular files only
  FileBytes(FileBytes&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        base_(other.base_),
        size_(other.size_),
        written_(other.written_),
        digest_wanted_(other.digest_wanted_),
        digest_(std::move(other.digest_)) {}
  FileBytes& operator=(FileBytes&&) = delete;
  ~FileBytes();

  // The bytes from `at` on as a file of their own, for a record that is a whole file itself.
  // Code::corrupt if they are not there.
  Result<FileBytes> window(std::uint64_t at, std::uint64_t size) const;

  std::uint64_t size() const { return size_; }  // when it was opened
  // Neither its size nor its time of writing moved since it was opened. Not for windows.
  bool unchanged() const;

  // Exactly `count` bytes from `at`; Code::corrupt if they are not there (or no longer).
  Result<std::string> read(std::uint64_t at, std::size_t count) const;

  // Calls `take` with consecutive pieces of at most 1 MiB; pieces but the last are a multiple of 64
  // bytes long. Code::cancelled when `stop` is tripped.
  Result<void> for_each_piece(std::uint64_t at, std::uint64_t count, std::stop_token stop,
                              const std::function<void(std::string_view)>& take) const;

  // read() without its allocation.
  Result<void> read_into(std::uint64_t at, char* bytes, std::size_t count) const;

  // For a child process that reads by itself; it stays ours.
  int descriptor() const { return descriptor_; }

  // The file's SHA-256, taken along by the first sweep (sweep.h) once it is wanted: then it is of
  // the very bytes that were proven.
  void want_digest() { digest_wanted_ = true; }
  bool digest_wanted() const { return digest_wanted_ && digest_.empty(); }  // and not there yet
  void keep_digest(std::string digest) const { digest_ = std::move(digest); }
  const std::string& digest() const { return digest_; }

 private:
  FileBytes(int descriptor, std::uint64_t base, std::uint64_t size, std::int64_t written)
      : descriptor_(descriptor), base_(base), size_(size), written_(written) {}

  int descriptor_;
  std::uint64_t base_;  // where its first byte is: 0 unless it is a window
  std::uint64_t size_;
  std::int64_t written_;  // nanoseconds since 1970
  bool digest_wanted_ = false;
  mutable std::string digest_ = {};  // a fact about the file, like its size; not part of its state
};

// Bounds-checked little-endian reading of bytes already in memory.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  std::uint64_t little(std::size_t width) {  // 1..8 bytes; 0 and !ok() past the end
    const std::string_view part = take(width);
    std::uint64_t value = 0;
    for (std::size_t i = part.size(); i > 0; --i)
      value = value << 8 | static_cast<unsigned char>(part[i - 1]);
    return value;
  }
  std::string_view take(std::uint64_t count) {
    if (count > left()) {
      ok_ = false;
      at_ = bytes_.size();
      return {};
    }
    const std::string_view part = bytes_.substr(at_, static_cast<std::size_t>(count));
    at_ += part.size();
    return part;
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace rgt
