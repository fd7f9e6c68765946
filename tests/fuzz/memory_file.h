// SPDX-License-Identifier: MIT
// A file that exists in memory only, for readers that want a descriptor. Also a small zip writer,
// so that a fuzzer can mutate data.pkl itself and not be stopped by its checksum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>

#include "core/artifact/file_bytes.h"
#include "core/base/result.h"

namespace rgt {

class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    require(descriptor_ >= 0, "no memory file");
    while (!bytes.empty()) {
      const ssize_t done = ::write(descriptor_, bytes.data(), bytes.size());
      require(done > 0, "cannot fill the memory file");
      bytes.remove_prefix(static_cast<std::size_t>(done));
    }
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_ = -1;
};

inline std::string little(std::uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

// Stored records without descriptors, in this order.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& records) {
  std::string bytes, directory;
  for (const auto& [name, content] : records) {
    const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(content.data()),
                             static_cast<uInt>(content.size()));
    const std::string sizes = little(crc, 4) + little(content.size(), 4) +
                              little(content.size(), 4) + little(name.size(), 2);
    directory += little(0x02014b50, 4) + std::string(12, '\0') + sizes + std::string(12, '\0') +
                 little(bytes.size(), 4) + name;
    bytes += little(0x04034b50, 4) + std::string(10, '\0') + sizes + little(0, 2) + name + content;
  }
  const std::string end = little(0x06054b50, 4) + little(0, 4) + little(records.size(), 2) +
                          little(records.size(), 2) + little(directory.size(), 4) +
                          little(bytes.size(), 4) + little(0, 2);
  return bytes + directory + end;
}

}  // namespace rgt
