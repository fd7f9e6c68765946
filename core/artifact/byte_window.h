// SPDX-License-Identifier: MIT
// ByteWindow: reading a file in small pieces here and there, with few system calls. Over it
// ByteWalk, which goes forward through a part of the file, and ProtoWalk, which goes through the
// fields of a protobuf message without loading it. Source: protobuf's encoding.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/artifact/file_bytes.h"
#include "core/base/result.h"

namespace rgt {

class ByteWindow {
 public:
  static constexpr std::size_t kMost = 64u << 10;  // bytes in one view

  explicit ByteWindow(const FileBytes& file) : file_(file) {}
  std::uint64_t size() const { return file_.size(); }

  // Valid until the next view. Empty if the bytes are not there; a disk that fails is kept in
  // trouble().
  std::string_view view(std::uint64_t at, std::size_t count);
  const std::optional<Error>& trouble() const { return trouble_; }

 private:
  const FileBytes& file_;
  std::string bytes_ = {};
  std::uint64_t begin_ = 0;
  std::optional<Error> trouble_ = {};
};

// Reading past the end yields zeros and !ok().
class ByteWalk {
 public:
  ByteWalk(ByteWindow& window, std::uint64_t begin, std::uint64_t end)
      : window_(window), at_(begin), end_(end) {}
  bool ok() const { return ok_; }
  std::uint64_t at() const { return at_; }
  std::uint64_t left() const { return end_ - at_; }
  std::uint64_t number(std::size_t width, bool big_endian = false);  // 1..8 bytes
  std::uint64_t varint();                                            // base 128, as protobuf's
  std::string text(std::uint64_t count, std::size_t most);  // !ok() where it is longer than `most`
  void skip(std::uint64_t count);

 private:
  std::string_view take(std::size_t count);
  ByteWindow& window_;
  std::uint64_t at_, end_;
  bool ok_ = true;
};

// One field as it is on the wire. A message, text or packed list is at [at, at + size).
struct ProtoField {
  enum class Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };
  std::uint64_t number = 0;
  Wire wire = Wire::varint;
  std::uint64_t value = 0;  // of the others
  std::uint64_t at = 0, size = 0;
};

class ProtoWalk {
 public:
  ProtoWalk(ByteWindow& window, std::uint64_t at, std::uint64_t size)
      : window_(window), walk_(window, at, at + size) {}
  ProtoWalk(ByteWindow& window, const ProtoField& field)
      : ProtoWalk(window, field.at, field.size) {}

  std::optional<ProtoField> next();  // nothing at the end, and where the message is broken
  bool ok() const { return ok_; }

  // Of a field of bytes; `most` bytes of it at most.
  std::string text(const ProtoField& field, std::size_t most);

 private:
  ByteWindow& window_;
  ByteWalk walk_;
  bool ok_ = true;
};

}  // namespace rgt
