// SPDX-License-Identifier: MIT
// What one reader makes of bytes in memory: a verdict, or that they are damaged, and few findings.
#pragma once

#include <string_view>

#include "core/artifact/format.h"
#include "tests/fuzz/memory_file.h"

namespace rgt {

// `report` may already hold the path that the reader is to see.
inline ArtifactReport read_bytes(decltype(&read_gguf) reader, std::string_view bytes,
                                 ArtifactReport report = {}) {
  const MemoryFile memory(bytes);
  const auto file = FileBytes::open(memory.path());
  require(file.ok(), "the memory file does not open");
  const auto read = reader(*file, Depth::resume, {}, report);
  require(read.ok() || read.error().code == Code::corrupt, "bytes must end in a verdict");
  require(report.findings.size() <= 50, "too many findings");
  return report;
}

}  // namespace rgt
