// SPDX-License-Identifier: MIT
// Any bytes as safetensors. The length is made right for most inputs, so that the fuzzer works on
// the header and not on eight bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/format.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = bytes.rfind('}');
  if (size > 8 && bytes[8] == '{' && end != std::string::npos && end >= 8)
    bytes.replace(0, 8, rgt::little(end - 7, 8));
  const rgt::MemoryFile memory(bytes);
  auto file = rgt::FileBytes::open(memory.path());
  rgt::require(file.ok(), "the memory file does not open");
  rgt::ArtifactReport report;
  rgt::require(rgt::read_safetensors(*file, rgt::Depth::resume, {}, report).ok(),
               "bytes must end in a verdict");
  rgt::require(report.findings.size() <= 50, "too many findings");
  if (report.verdict == rgt::ArtifactVerdict::ok)
    rgt::require(report.tensors > 0, "nothing is proven");
  return 0;
}
