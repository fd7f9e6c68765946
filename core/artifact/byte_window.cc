// SPDX-License-Identifier: MIT
#include "core/artifact/byte_window.h"

#include <algorithm>

namespace rgt {

std::string_view ByteWindow::view(std::uint64_t at, std::size_t count) {
  if (count > kMost || at > file_.size() || count > file_.size() - at) return {};
  if (at < begin_ || at - begin_ > bytes_.size() || count > bytes_.size() - (at - begin_)) {
    constexpr std::size_t kAhead = 16u << 10;  // bytes: a few hundred fields
    const auto wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(std::max(count, kAhead), file_.size() - at));
    auto bytes = file_.read(at, wanted);
    if (!bytes) {
      trouble_ = bytes.error();
      return {};
    }
    bytes_ = std::move(*bytes);
    begin_ = at;
  }
  return std::string_view(bytes_).substr(static_cast<std::size_t>(at - begin_), count);
}

std::string_view ByteWalk::take(std::size_t count) {
  if (!ok_ || count > left()) return ok_ = false, std::string_view();
  const std::string_view bytes = window_.view(at_, count);
  if (bytes.size() != count) return ok_ = false, std::string_view();
  at_ += count;
  return bytes;
}

std::uint64_t ByteWalk::number(std::size_t width, bool big_endian) {
  const std::string_view bytes = take(width);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char byte = bytes[big_endian ? i : bytes.size() - 1 - i];
    value = value << 8 | static_cast<unsigned char>(byte);
  }
  return value;
}

std::uint64_t ByteWalk::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::string_view byte = take(1);
    if (byte.empty()) return 0;
    const auto bits = static_cast<unsigned char>(byte[0]);
    value |= std::uint64_t{bits & 0x7Fu} << shift;
    if (bits < 0x80) return value;
  }
  ok_ = false;
  return 0;
}

std::string ByteWalk::text(std::uint64_t count, std::size_t most) {
  if (count > most) return ok_ = false, std::string();
  return std::string(take(static_cast<std::size_t>(count)));
}

void ByteWalk::skip(std::uint64_t count) {
  if (!ok_ || count > left())
    ok_ = false;
  else
    at_ += count;
}

std::optional<ProtoField> ProtoWalk::next() {
  if (!ok_ || walk_.left() == 0) return {};
  const std::uint64_t tag = walk_.varint();
  ProtoField field{.number = tag >> 3, .wire = static_cast<ProtoField::Wire>(tag & 7)};
  switch (field.wire) {
    case ProtoField::Wire::varint: field.value = walk_.varint(); break;
    case ProtoField::Wire::fixed64: field.value = walk_.number(8); break;
    case ProtoField::Wire::fixed32: field.value = walk_.number(4); break;
    case ProtoField::Wire::bytes:
      field.size = walk_.varint();
      field.at = walk_.at();
      walk_.skip(field.size);
      break;
    default: ok_ = false;  // groups are long gone
  }
  ok_ = ok_ && walk_.ok() && field.number > 0 && field.number < (1u << 29);
  return ok_ ? std::optional(field) : std::nullopt;
}

std::string ProtoWalk::text(const ProtoField& field, std::size_t most) {
  if (field.wire != ProtoField::Wire::bytes) return {};
  const auto count = std::min<std::uint64_t>({field.size, most, ByteWindow::kMost});
  return std::string(window_.view(field.at, static_cast<std::size_t>(count)));
}

}  // namespace rgt
