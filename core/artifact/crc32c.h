// SPDX-License-Identifier: MIT
// CRC-32C (Castagnoli), the checksum of TensorFlow's and Orbax's files.
#pragma once

#include <cstdint>
#include <string_view>

namespace rgt {

// `before`: of what precedes.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

// As TensorFlow stores it: rotated and shifted, so that a checksum of bytes that hold checksums is
// none of them. Source: tensorflow/core/lib/hash/crc32c.h.
inline std::uint32_t masked_crc32c(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

}  // namespace rgt
