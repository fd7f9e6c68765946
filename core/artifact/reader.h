// SPDX-License-Identifier: MIT
// Reader: proves that one file of one format loads, without executing anything in it. One file per
// format implements it; reader registry in readers.cc. Foreign bytes: every length is checked
// before it is used, memory is bounded, and each reader has a fuzz target.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace rgt {

struct FileFacts;  // file_facts.h

// From cheap to deep; each includes the ones before it as far as the format has them.
enum class Depth { present, digest, structure, checksums, values, resume };
std::string_view depth_name(Depth depth);
Result<Depth> parse_depth(std::string_view name);

enum class ArtifactVerdict { ok, corrupt, hostile, incomplete, unverified };
std::string_view artifact_verdict_name(ArtifactVerdict verdict);

struct Finding {
  enum class Severity { info, warning, error } severity = Severity::info;
  std::string what = {};  // one clean sentence: what was found, where, what was expected
};

struct ArtifactReport {
  std::string path = {};    // as given
  std::string format = {};  // "pytorch_zip", "safetensors", "json", "csv", "plain", ...
  std::string reader = {};  // "<name>/<version>"
  ArtifactVerdict verdict = ArtifactVerdict::unverified;
  Depth depth = Depth::present;  // the deepest level that was completed
  std::uint64_t size = 0;
  std::string sha256 = {};  // empty below Depth::digest
  std::uint64_t tensors = 0, parameters = 0;
  std::vector<Finding> findings = {};     // at most 50
  std::shared_ptr<FileFacts> facts = {};  // for whoever reads its folder; may be empty
};

struct CheckOptions {
  Depth depth = Depth::resume;  // as deep as the format allows
  bool digest = true;  // SHA-256 costs more than all other checks together; Depth::digest needs it
};

// Never throws, never crashes on any bytes; a file that cannot be read is a report with `corrupt`
// or `incomplete` and a finding that says why. `stop` ends it within a second (Code::cancelled).
Result<ArtifactReport> check_artifact(const std::filesystem::path& path,
                                      const CheckOptions& options, std::stop_token stop);

// A folder whose files only together are a checkpoint: what is wrong with the set (a shard that is
// missing, ranks or steps that differ) is in none of them.
struct FolderReport {
  ArtifactReport report = {};  // path: the folder; size and tensors: of all its files; no digest
  std::vector<std::size_t> files = {};  // the set: indexes into what was given, ascending
  std::size_t last = 0;                 // the last file below it, those of sets inside it too
};

// The checkpoints among the folders at and below `root`, from the reports on its files; innermost
// first. Reads again only what describes a set. A file that only its set can prove (a part of a
// distributed checkpoint, DeepSpeed's `latest`) gets its verdict here. Nothing below
// Depth::structure.
Result<std::vector<FolderReport>> check_folders(const std::filesystem::path& root,
                                                const std::vector<ArtifactReport*>& files,
                                                const CheckOptions& options, std::stop_token stop);

// A file is only as good as the set it belongs to: those of a set that is not ok get the set's
// verdict, and why. A set that lacks a file which is not among `files` is not whole. The reports on
// the sets come back.
Result<std::vector<ArtifactReport>> judge_sets(const std::filesystem::path& root,
                                               const std::vector<ArtifactReport*>& files,
                                               std::stop_token stop);

// Every regular file below a folder (sorted), or the file itself, several at once; the reports are
// in that order, a checkpoint folder's own behind those of its files. Code::not_found if neither.
Result<std::vector<ArtifactReport>> check_paths(const std::vector<std::filesystem::path>& paths,
                                                const CheckOptions& options, std::stop_token stop);

}  // namespace rgt
