// SPDX-License-Identifier: MIT
// Any bytes as the .metadata of a distributed checkpoint with one data file of two records: a
// verdict comes, an attack is one, and what it describes is never whole if the file is cut.
#include <cstddef>
#include <cstdint>
#include <fstream>

#include "core/artifact/reader.h"
#include "core/artifact/unpickler.h"
#include "tests/fuzz/memory_file.h"
#include "tests/temporary_folder.h"

namespace {

// torch.save(torch.zeros(2))
std::string record() {
  const std::string pickle = std::string("\x80\x02", 2) + "ctorch._utils\n_rebuild_tensor_v2\n((X" +
                             rgt::little(7, 4) + "storagectorch\nFloatStorage\nX" +
                             rgt::little(1, 4) + "0X" + rgt::little(3, 4) + "cpuK\x02tQK" +
                             std::string(1, '\0') +
                             "K\x02\x85K\x01\x85\x89"
                             "ccollections\nOrderedDict\n)RtR.";
  return rgt::zip_of({{"archive/data.pkl", pickle},
                      {"archive/data/0", std::string(8, '\1')},
                      {"archive/version", "3\n"}});
}

rgt::ArtifactReport check(const std::filesystem::path& folder, std::string_view metadata,
                          const std::string& data) {
  rgt::ArtifactReport described{.path = (folder / ".metadata").string(), .format = "pickle"};
  rgt::ArtifactReport part{.path = (folder / "__0_0.distcp").string(), .format = "dcp_part"};
  std::ofstream(described.path, std::ios::binary) << metadata;
  std::ofstream(part.path, std::ios::binary) << data;
  described.size = metadata.size();
  part.size = data.size();
  const auto sets = rgt::check_folders(folder, {&described, &part}, {}, {});
  rgt::require(sets.ok() && sets->size() == 1, "bytes must end in a verdict");
  return (*sets)[0].report;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const rgt::TemporaryFolder folder;
  static const std::string data = record() + record();
  const std::string_view metadata(reinterpret_cast<const char*>(bytes), size);
  const rgt::ArtifactReport report = check(folder.path(), metadata, data);
  rgt::require(report.findings.size() <= 50, "too many findings");
  std::vector<std::string> seen;
  [[maybe_unused]] const auto pickle = rgt::read_pickle(metadata, &seen);
  for (const std::string& name : seen) {
    if (rgt::classify_global(name) == rgt::GlobalClass::dangerous)
      rgt::require(report.verdict == rgt::ArtifactVerdict::hostile, "an attack got through");
  }
  if (report.verdict != rgt::ArtifactVerdict::ok) return 0;
  rgt::require(report.tensors == 2, "whole without its records");
  rgt::require(check(folder.path(), metadata, data.substr(0, data.size() - 1)).verdict !=
                   rgt::ArtifactVerdict::ok,
               "a checkpoint that was cut is fine");
  return 0;
}
