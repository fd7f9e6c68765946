// SPDX-License-Identifier: MIT
// Any bytes as a pickle, alone and as the data.pkl of a checkpoint: the machine ends, its
// references stay inside, and a file that reaches for something dangerous is never called fine.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/format.h"
#include "core/artifact/unpickler.h"
#include "tests/fuzz/memory_file.h"

namespace {

bool is_dangerous(const rgt::Pickle& pickle) {
  for (const std::string& name : pickle.globals) {
    if (rgt::classify_global(name) == rgt::GlobalClass::dangerous) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto pickle = rgt::read_pickle(bytes);
  if (pickle) {
    rgt::require(pickle->root < pickle->values.size() && pickle->size <= size,
                 "a pickle outside of its bytes");
    for (const rgt::PickleValue& value : pickle->values) {
      for (const rgt::PickleRef item : value.items)
        rgt::require(item < pickle->values.size(), "a loose reference");
    }
  }
  const rgt::MemoryFile file(rgt::zip_of({{"a/data.pkl", std::string(bytes)},
                                          {"a/data/0", std::string(64, '\1')},
                                          {"a/version", "3\n"}}));
  auto opened = rgt::FileBytes::open(file.path());
  rgt::require(opened.ok(), "the memory file does not open");
  rgt::ArtifactReport report;
  const auto read = rgt::read_pytorch_zip(*opened, rgt::Depth::resume, {}, report);
  rgt::require(read.ok(), "bytes must end in a verdict");
  rgt::require(report.findings.size() <= 50, "too many findings");
  if (pickle && is_dangerous(*pickle))
    rgt::require(report.verdict == rgt::ArtifactVerdict::hostile, "an attack got through");
  if (!pickle) rgt::require(report.verdict != rgt::ArtifactVerdict::ok, "a broken pickle is fine");
  return 0;
}
