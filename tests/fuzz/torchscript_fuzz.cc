// SPDX-License-Identifier: MIT
// Any bytes as the pickles of a TorchScript archive: a verdict comes, and names that its compiler
// never writes do not pass under the cover of those it does.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/format.h"
#include "core/artifact/unpickler.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::string storage(64, '\1'), nothing = "\x80\x02).";
  std::vector<std::string> seen;
  const auto pickle = rgt::read_pickle(bytes, &seen);
  bool fine = pickle.ok();
  for (const std::string& name : seen) {
    const bool compiled = name.starts_with("__torch__") || name.starts_with("torch.jit._pickle ");
    fine &= compiled || rgt::classify_global(name) < rgt::GlobalClass::unknown;
  }
  for (const bool as_constants : {false, true}) {
    const rgt::MemoryFile file(rgt::zip_of({{"a/data.pkl", as_constants ? nothing : bytes},
                                            {"a/constants.pkl", as_constants ? bytes : nothing},
                                            {"a/code/__torch__.py", "class A: pass"},
                                            {"a/data/0", storage},
                                            {"a/constants/0", storage},
                                            {"a/version", "3\n"}}));
    auto opened = rgt::FileBytes::open(file.path());
    rgt::require(opened.ok(), "the memory file does not open");
    rgt::ArtifactReport report;
    const auto read = rgt::read_pytorch_zip(*opened, rgt::Depth::resume, {}, report);
    rgt::require(read.ok(), "bytes must end in a verdict");
    rgt::require(fine || report.verdict != rgt::ArtifactVerdict::ok, "a bad pickle is fine");
  }
  return 0;
}
