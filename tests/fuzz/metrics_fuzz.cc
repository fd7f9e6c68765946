// SPDX-License-Identifier: MIT
// Any bytes as JSON, JSON lines and CSV: each ends in a verdict.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/format.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;  // an empty file never reaches a reader
  const rgt::MemoryFile memory(std::string_view(reinterpret_cast<const char*>(data), size));
  auto file = rgt::FileBytes::open(memory.path());
  rgt::require(file.ok(), "the memory file does not open");
  for (const auto read : {rgt::read_json, rgt::read_json_lines, rgt::read_csv}) {
    rgt::ArtifactReport report;
    rgt::require(read(*file, rgt::Depth::resume, {}, report).ok(), "bytes must end in a verdict");
    rgt::require(report.findings.size() <= 50, "too many findings");
  }
  return 0;
}
