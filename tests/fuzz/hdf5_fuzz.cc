// SPDX-License-Identifier: MIT
// Any bytes as HDF5: whatever libhdf5 does with them happens in its child, a verdict comes, and
// what is fine has tensors. Each input costs a fork, and coverage stops there, so this finds what
// we do with a child that crashes, hangs or lies more than what is wrong in the library.
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/read_bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size > 8 && bytes[0] != 0) bytes.replace(0, 8, "\x89HDF\r\n\x1A\n");
  const rgt::ArtifactReport report = rgt::read_bytes(rgt::read_hdf5, bytes);
  if (report.verdict == rgt::ArtifactVerdict::ok)
    rgt::require(report.tensors > 0 && report.depth == rgt::Depth::values, "nothing is proven");
  return 0;
}
