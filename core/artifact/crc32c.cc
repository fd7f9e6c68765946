// SPDX-License-Identifier: MIT
#include "core/artifact/crc32c.h"

#include <algorithm>
#include <cstddef>

#include <isa-l/crc.h>

namespace rgt {

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  while (!bytes.empty()) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), 1u << 30);  // ISA-L counts in int
    // ISA-L's interface predates const.
    crc = ::crc32_iscsi(reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data())),
                        static_cast<int>(count), crc);
    bytes.remove_prefix(count);
  }
  return ~crc;
}

}  // namespace rgt
