// SPDX-License-Identifier: MIT
// One kind of checkpoint folder's reader: compares what the files of a set say about each other.
// The files were read before (their reports, file_facts.h); here only what describes the set is.
// Internal to this room; the list is in folders.cc. Names come from a disk or from foreign bytes:
// every use of one is bounded, and none leads out of the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/file_facts.h"
#include "core/artifact/format.h"
#include "core/artifact/reader.h"

namespace rgt {

// What lies directly in a folder: enough to know its kind by.
struct FolderNames {
  std::string name = {};  // its own: "checkpoint-100"
  std::set<std::string, std::less<>> files = {}, folders = {};
  bool has(std::string_view file) const { return files.contains(file); }
};

// A folder and everything below it that belongs to no set of its own.
struct Folder {
  std::filesystem::path path = {};
  FolderNames names = {};
  std::map<std::string, ArtifactReport*, std::less<>> files = {};       // "a.pt", "sub/b.pt"
  std::map<std::string, const ArtifactReport*, std::less<>> sets = {};  // folders with a report
  bool parent_has_latest = false;

  const ArtifactReport* file(std::string_view name) const {
    const auto found = files.find(name);
    return found == files.end() ? nullptr : found->second;
  }
};

struct FolderCheck {
  const Folder& folder;
  Depth depth;
  std::stop_token stop;
  ArtifactReport& report;
  Judgement& judgement;
};

// Each adds to the folder's one judgement. Only cancellation and broken disks are errors.
bool is_hf_trainer(const FolderNames& names);
Result<void> read_hf_trainer(const FolderCheck& check);
bool is_accelerate(const FolderNames& names);
Result<void> read_accelerate(const FolderCheck& check);
bool is_deepspeed(const FolderNames& names);
Result<void> read_deepspeed(const FolderCheck& check);
bool is_dcp(const FolderNames& names);
Result<void> read_dcp(const FolderCheck& check);
bool is_orbax(const FolderNames& names);
Result<void> read_orbax(const FolderCheck& check);
bool is_sharded(const FolderNames& names);
Result<void> read_sharded(const FolderCheck& check);

// ---- shared by them (folders.cc)

// A member's text. Nothing, with the judgement failed, if it is absent or larger than `most`.
Result<std::optional<std::string>> member_text(const FolderCheck& check, const std::string& name,
                                               std::uint64_t most);

// A set below this one that it needs, by its name: what is wrong with it is wrong here too.
void judge_set(const FolderCheck& check, std::string_view name);

// Only the set proves this file: its verdict becomes ok, and its report says why.
void prove_member(ArtifactReport& member, Depth depth, std::string why);

// "name" cleaned for a finding.
std::string shown(std::string_view name);

// The number between `head` and `tail`, if that is what the name is: rank_of("a_12.pt", "a_",
// ".pt").
std::optional<std::uint64_t> number_in(std::string_view name, std::string_view head,
                                       std::string_view tail);

// The first few, and how many more.
std::string list_some(const std::vector<std::string>& names);

// Fails as incomplete if 0..count-1 are not all there. For the finding: what they are ("rank") and
// what their names count from.
void expect_all(const std::set<std::uint64_t>& there, std::uint64_t first, std::uint64_t count,
                const std::string& what, Judgement& judgement);

// Weights and optimizers that lie in different files, held to each other: number of parameters,
// shapes of moments, and steps against the step that the folder names (if any).
void judge_optimizers(const std::vector<const ArtifactReport*>& weights,
                      const std::vector<const ArtifactReport*>& optimizers,
                      std::optional<double> global_step, Judgement& judgement);

// The files with weights directly in a folder, by the names that libraries give them.
std::vector<const ArtifactReport*> weight_files(const Folder& folder);

}  // namespace rgt
