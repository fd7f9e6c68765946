// SPDX-License-Identifier: MIT
// Any bytes as the index of a TensorFlow checkpoint; and as the one block of an index whose
// checksums are right, beside a shard of 4 KiB.
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string_view>

#include "core/artifact/byte_window.h"
#include "core/artifact/crc32c.h"
#include "core/artifact/format.h"
#include "tests/fuzz/memory_file.h"
#include "tests/temporary_folder.h"

namespace {

void check(std::string_view bytes, const std::string& path) {
  const rgt::MemoryFile memory(bytes);
  auto file = rgt::FileBytes::open(memory.path());
  rgt::require(file.ok(), "the memory file does not open");
  rgt::ArtifactReport report;
  report.path = path;
  const auto read = rgt::read_tf_bundle(*file, rgt::Depth::resume, {}, report);
  rgt::require(read.ok() || read.error().code == rgt::Code::corrupt, "bytes must end in a verdict");
  rgt::require(report.findings.size() <= 50, "too many findings");
  if (report.verdict == rgt::ArtifactVerdict::ok)
    rgt::require(report.tensors > 0 && report.depth == rgt::Depth::values, "nothing is proven");
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value > 0x7F; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string index_of(std::string_view block) {
  std::string bytes;
  const auto put = [&](const std::string& content) {
    std::string handle = varint(bytes.size()) + varint(content.size());
    const std::string with_kind = content + std::string(1, '\0');
    bytes += with_kind + rgt::little(rgt::masked_crc32c(rgt::crc32c(with_kind)), 4);
    return handle;
  };
  const std::string restarts = rgt::little(0, 4) + rgt::little(1, 4);
  const std::string handle = put(std::string(block) + restarts);
  const std::string meta = put(restarts);
  const std::string entry = varint(0) + varint(1) + varint(handle.size()) + "z" + handle;
  std::string footer = meta + put(entry + restarts);
  footer.resize(40, '\0');
  return bytes + footer + rgt::little(0xdb4775248b80fb57ull, 8);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rgt::TemporaryFolder folder;
  static const std::string prefix = (folder.path() / "ckpt").string();
  static const bool written = [] {
    std::ofstream(prefix + ".data-00000-of-00001") << std::string(4096, '\1');
    return true;
  }();
  rgt::require(written, "no shard");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes, prefix + ".index");
  check(index_of(bytes), prefix + ".index");
  return 0;
}
