// SPDX-License-Identifier: MIT
// Any bytes as a checkpoint of the old format: a verdict comes, and a file that reaches for
// something dangerous before it breaks is never called fine.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/format.h"
#include "core/artifact/unpickler.h"
#include "tests/fuzz/memory_file.h"

namespace {

rgt::ArtifactReport read(std::string_view bytes) {
  const rgt::MemoryFile file(bytes);
  auto opened = rgt::FileBytes::open(file.path());
  rgt::require(opened.ok(), "the memory file does not open");
  rgt::ArtifactReport report;
  const auto done = rgt::read_pytorch_legacy(*opened, rgt::Depth::resume, {}, report);
  rgt::require(done.ok() || done.error().code == rgt::Code::corrupt, "bytes must end in a verdict");
  if (!done) report.verdict = rgt::ArtifactVerdict::corrupt;
  return report;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (size == 0) return 0;
  const rgt::ArtifactReport report = read(bytes);
  rgt::require(report.findings.size() <= 50, "too many findings");
  std::vector<std::string> seen;
  [[maybe_unused]] const auto first = rgt::read_pickle(bytes, &seen);
  for (const std::string& name : seen) {
    if (rgt::classify_global(name) == rgt::GlobalClass::dangerous)
      rgt::require(report.verdict == rgt::ArtifactVerdict::hostile, "an attack got through");
  }
  // A whole file has no byte to spare.
  if (report.verdict == rgt::ArtifactVerdict::ok) {
    rgt::require(read(bytes.substr(0, size - 1)).verdict != rgt::ArtifactVerdict::ok,
                 "a file that was cut is fine");
    rgt::require(read(std::string(bytes) + "x").verdict != rgt::ArtifactVerdict::ok,
                 "a file with a byte too many is fine");
  }
  return 0;
}
