// SPDX-License-Identifier: MIT
// Sweep: one pass over a file's bytes, on several threads, that yields everything asked about them
// at once: each region's CRC-32 and values, and the file's SHA-256 where FileBytes wants it. Every
// byte is read once, so all of it is about the same bytes. A few MiB of memory whatever the size.
#pragma once

#include <array>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "core/artifact/file_bytes.h"
#include "core/artifact/value_scan.h"
#include "core/base/result.h"

namespace rgt {

// Quantised numbers come in blocks of equal size; only the scales in each are numbers by
// themselves.
struct BlockLayout {
  std::uint64_t size = 0;                    // bytes; 0: no blocks, the region is elements
  std::array<std::uint64_t, 2> scales = {};  // where they begin in a block
  std::size_t count = 0;                     // how many of them
};

struct Region {
  std::uint64_t at = 0, size = 0;
  ElementType type = ElementType::other;  // of the scales, where it has blocks
  bool big_endian = false;
  BlockLayout blocks = {};
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
