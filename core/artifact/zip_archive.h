// SPDX-License-Identifier: MIT
// ZipArchive: the directory of a zip file, believed only where the local headers, the data
// descriptors and the file's own extents agree with it. Source: APPNOTE.TXT 6.3.10, sections 4.3
// to 4.5.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/artifact/file_bytes.h"
#include "core/base/result.h"

namespace rgt {

struct ZipEntry {
  std::string name = {};
  bool deflated = false;     // else stored
  std::uint32_t crc32 = 0;   // of the plain bytes, as the directory says
  std::uint64_t packed = 0;  // bytes in the file
  std::uint64_t plain = 0;   // bytes when unpacked
  std::uint64_t header = 0;  // where its local header begins
  std::uint64_t data = 0;    // where its bytes begin
  std::uint64_t end = 0;     // first byte behind it, descriptor included
};

class ZipArchive {
 public:
  // Code::corrupt with the anomaly: duplicate or unsafe names, encrypted or overlapping entries,
  // disagreeing headers, two directories, trailing bytes. At most 200,000 entries.
  static Result<ZipArchive> open(const FileBytes& file);  // `file` must outlive the archive

  const std::vector<ZipEntry>& entries() const { return entries_; }  // in the directory's order
  std::vector<const ZipEntry*> in_file_order() const;
  const ZipEntry* find(std::string_view name) const;

  // torch can be told to write no CRC-32 at all; then read() has nothing to hold the bytes against.
  bool has_checksums() const { return has_checksums_; }

  // Streams the plain bytes and holds their CRC-32 against the directory; never yields more than
  // entry.plain bytes, whatever the compressed bytes say.
  Result<void> read(const ZipEntry& entry, std::stop_token stop,
                    const std::function<void(std::string_view)>& take) const;

  // The same for bytes that were read elsewhere: Code::corrupt if this is not the entry's CRC-32.
  Result<void> check_crc(const ZipEntry& entry, std::uint32_t crc) const;

 private:
  explicit ZipArchive(const FileBytes& file) : file_(&file) {}
  Result<void> read_entries(std::string_view directory, std::uint64_t count,
                            std::uint64_t directory_at);
  Result<void> check_local(ZipEntry& entry, std::uint64_t directory_at) const;
  Result<void> check_layout(std::uint64_t directory_at) const;

  const FileBytes* file_;
  std::vector<ZipEntry> entries_ = {};
  std::unordered_map<std::string, std::size_t> places_ = {};  // name -> index in entries_
  bool has_checksums_ = false;
};

}  // namespace rgt
