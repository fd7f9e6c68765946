// SPDX-License-Identifier: MIT
// Any bytes as a record file, and as one event in a record whose checksums are right.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/byte_window.h"
#include "core/artifact/crc32c.h"
#include "tests/fuzz/read_bytes.h"

namespace {

rgt::ArtifactReport check(std::string_view bytes) {
  return rgt::read_bytes(rgt::read_tfrecord, bytes);
}

std::string record_of(std::string_view bytes) {
  const std::string length = rgt::little(bytes.size(), 8);
  return length + rgt::little(rgt::masked_crc32c(rgt::crc32c(length)), 4) + std::string(bytes) +
         rgt::little(rgt::masked_crc32c(rgt::crc32c(bytes)), 4);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  const std::string version(
      "\x1A\x0D"
      "brain.Event:2");
  const rgt::ArtifactReport report = check(record_of(version) + record_of(bytes));
  rgt::require(report.format == "tf_events", "an event file is taken for something else");
  rgt::require(
      report.verdict == rgt::ArtifactVerdict::ok || report.verdict == rgt::ArtifactVerdict::corrupt,
      "whole records are called torn");
  return 0;
}
