// SPDX-License-Identifier: MIT
// Sweep: one pass over a file's bytes, on several threads, that yields everything asked about them
// at once: each region's CRC-32 and values, and the file's SHA-256 where FileBytes wants it. Every
// byte is read once, so all of it is about the same bytes. A few MiB of memory whatever the size.
#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "core/artifact/file_bytes.h"
#include "core/artifact/value_scan.h"
#include "core/base/result.h"

namespace rgt {

struct Region {
  std::uint64_t at = 0, size = 0;
  ElementType type = ElementType::other;
  bool big_endian = false;
};

struct RegionFacts {
  std::uint32_t crc32 = 0;  // 0 unless asked for
  ValueFacts values = {};
};

struct SweepFor {
  bool crc32 = true, values = true;
};

// Regions are sorted and do not overlap. The facts come in their order. Code::corrupt if the file
// ends early, Code::cancelled within a piece (256 KiB) of `stop`.
Result<std::vector<RegionFacts>> sweep(const FileBytes& file, const std::vector<Region>& regions,
                                       SweepFor wanted, std::stop_token stop);

}  // namespace rgt
