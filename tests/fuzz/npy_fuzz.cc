// SPDX-License-Identifier: MIT
// Any bytes as an array, alone and in an archive whose checksums are right.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/format.h"
#include "core/artifact/npy.h"
#include "tests/fuzz/memory_file.h"

namespace {

rgt::ArtifactReport check(std::string_view bytes, bool archive) {
  const rgt::MemoryFile memory(bytes);
  auto file = rgt::FileBytes::open(memory.path());
  rgt::require(file.ok(), "the memory file does not open");
  rgt::ArtifactReport report;
  const auto read =
      (archive ? rgt::read_zip : rgt::read_npy)(*file, rgt::Depth::resume, {}, report);
  const bool about_bytes = !read.ok() && (read.error().code == rgt::Code::corrupt ||
                                          read.error().code == rgt::Code::limit);
  rgt::require(read.ok() || about_bytes, "bytes must end in a verdict");
  if (about_bytes) report.verdict = rgt::ArtifactVerdict::corrupt;
  rgt::require(report.findings.size() <= 50, "too many findings");
  return report;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const rgt::ArtifactReport alone = check(bytes, false);
  if (alone.verdict == rgt::ArtifactVerdict::ok)
    rgt::require(alone.tensors > 0, "nothing is proven");
  if (bytes.starts_with("PK")) check(bytes, true);
  const rgt::ArtifactReport packed = check(rgt::zip_of({{"a.npy", std::string(bytes)}}), true);
  rgt::require(packed.format == "npz", "an archive of arrays is taken for something else");
  // One array is judged alike in both; several in one file are for numpy.save only.
  if (alone.tensors == 1)
    rgt::require(alone.verdict == packed.verdict && alone.parameters == packed.parameters,
                 "an array and the same one in an archive are judged differently");
  return 0;
}
