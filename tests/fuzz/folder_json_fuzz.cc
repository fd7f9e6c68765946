// SPDX-License-Identifier: MIT
// Any bytes as one of the JSON files that describe a folder; the first byte says which. A verdict
// comes, and a set whose files are not those its index names is never called whole.
#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>

#include "core/artifact/file_facts.h"
#include "core/artifact/reader.h"
#include "tests/temporary_folder.h"

namespace {

struct Kind {
  const char* file;
  std::array<const char*, 2> beside;
};
constexpr std::array<Kind, 4> kKinds{
    {{"model.safetensors.index.json",
      {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}},
     {"checkpoint-3/trainer_state.json", {"checkpoint-3/model.safetensors", "checkpoint-3/a"}},
     {"3/_CHECKPOINT_METADATA", {"3/w/.zarray", "3/w/0.0"}},
     {"3/w/.zarray", {"3/_METADATA", "3/w/0.0"}}}};

rgt::ArtifactReport good(const std::filesystem::path& path, const std::string& tensor) {
  rgt::ArtifactReport report{.path = path.string(), .format = "safetensors"};
  report.verdict = rgt::ArtifactVerdict::ok;
  report.size = 8;
  report.facts = std::make_shared<rgt::FileFacts>();
  report.facts->tensors.push_back({tensor, 8, {2}, false});
  return report;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rgt::TemporaryFolder folder;
  if (size == 0) return 0;
  const Kind& kind = kKinds[data[0] % kKinds.size()];
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto described = folder.path() / kind.file;
  std::filesystem::create_directories(described.parent_path());
  std::ofstream(described, std::ios::binary) << bytes;
  rgt::ArtifactReport json = good(described, "");
  json.format = "json";
  json.size = bytes.size();
  json.facts = nullptr;
  rgt::ArtifactReport one = good(folder.path() / kind.beside[0], "a");
  rgt::ArtifactReport two = good(folder.path() / kind.beside[1], "b");
  // What a file beside it holds is read too where it is of its kind.
  for (const auto* each : {&one, &two}) {
    std::filesystem::create_directories(std::filesystem::path(each->path).parent_path());
    std::ofstream(each->path, std::ios::binary) << "{\"a\":1}\n";
  }
  const auto sets = rgt::check_folders(folder.path(), {&json, &one, &two}, {}, {});
  rgt::require(sets.ok(), "bytes must end in verdicts");
  for (const rgt::FolderReport& set : *sets) {
    rgt::require(set.report.findings.size() <= 50, "too many findings");
    const bool whole = set.report.verdict == rgt::ArtifactVerdict::ok;
    if (!whole || kind.file != kKinds[0].file) continue;
    for (const char* name : {"\"a\"", "\"b\"", "weight_map", "00001", "00002"}) {
      // Escapes may spell them in another way.
      rgt::require(bytes.find(name) != std::string::npos || bytes.find("\\u") != std::string::npos,
                   "an index that lacks a name is fine");
    }
  }
  return 0;
}
