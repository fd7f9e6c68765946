// SPDX-License-Identifier: MIT
// Any bytes as GGUF: a verdict comes, and what is fine has tensors.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/read_bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size > 8 && bytes[4] != 0) bytes.replace(0, 4, "GGUF");
  const rgt::ArtifactReport report = rgt::read_bytes(rgt::read_gguf, bytes);
  if (report.verdict == rgt::ArtifactVerdict::ok)
    rgt::require(report.tensors > 0 && report.depth == rgt::Depth::values, "nothing is proven");
  return 0;
}
