// SPDX-License-Identifier: MIT
// Any bytes as ONNX. Initializers in other files are looked for next to a file that does not exist.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/read_bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const rgt::ArtifactReport report =
      rgt::read_bytes(rgt::read_onnx, bytes, {.path = "/proc/no/such/folder/model.onnx"});
  if (report.verdict == rgt::ArtifactVerdict::ok)
    rgt::require(size > 4 && report.depth == rgt::Depth::values, "nothing is proven");
  return 0;
}
