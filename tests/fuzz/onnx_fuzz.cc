// SPDX-License-Identifier: MIT
// Any bytes as ONNX. Initializers in other files are looked for next to a file that does not exist.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/format.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const rgt::MemoryFile memory(std::string_view(reinterpret_cast<const char*>(data), size));
  auto file = rgt::FileBytes::open(memory.path());
  rgt::require(file.ok(), "the memory file does not open");
  rgt::ArtifactReport report;
  report.path = "/proc/no/such/folder/model.onnx";
  const auto read = rgt::read_onnx(*file, rgt::Depth::resume, {}, report);
  rgt::require(read.ok() || read.error().code == rgt::Code::corrupt, "bytes must end in a verdict");
  rgt::require(report.findings.size() <= 50, "too many findings");
  if (report.verdict == rgt::ArtifactVerdict::ok)
    rgt::require(size > 4 && report.depth == rgt::Depth::values, "nothing is proven");
  return 0;
}
