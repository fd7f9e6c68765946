// SPDX-License-Identifier: MIT
// Any bytes as a zip archive: extents stay inside the file, and no record yields more than it
// declares.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/format.h"
#include "core/artifact/zip_archive.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const rgt::MemoryFile memory(std::string_view(reinterpret_cast<const char*>(data), size));
  auto file = rgt::FileBytes::open(memory.path());
  rgt::require(file.ok(), "the memory file does not open");
  auto zip = rgt::ZipArchive::open(*file);
  if (zip) {
    for (const rgt::ZipEntry& entry : zip->entries()) {
      rgt::require(entry.header <= entry.data && entry.data <= entry.end && entry.end <= size,
                   "an entry outside of the file");
      std::uint64_t total = 0;
      const auto read =
          zip->read(entry, {}, [&](std::string_view piece) { total += piece.size(); });
      rgt::require(total <= entry.plain, "more bytes than declared");
      rgt::require(!read || total == entry.plain, "fewer bytes than declared");
    }
  }
  rgt::ArtifactReport report;
  rgt::require(rgt::read_pytorch_zip(*file, rgt::Depth::resume, {}, report).ok(),
               "bytes must end in a verdict");
  rgt::require(zip.ok() || report.verdict != rgt::ArtifactVerdict::ok, "a broken archive is fine");
  return 0;
}
