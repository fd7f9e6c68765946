// SPDX-License-Identifier: MIT
// What a run's artifacts are together. A checkpoint folder can lack a shard or a rank while each of
// its files is fine; the gate asks for files, so a file is only as good as the set it belongs to.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "core/artifact/reader.h"
#include "core/base/result.h"

namespace rgt {

struct CheckedFile {
  ArtifactReport* report = nullptr;
  std::string* verdict = nullptr;  // artifact_verdict_name, or what else was found wrong
};

// Reads the sets among those files below `root` whose verdict is the reader's own, and gives each
// file of a set that is not ok that set's verdict and why. A set that lacks a file which was not
// named or not pulled is not whole. The reports on the sets come back.
Result<std::vector<ArtifactReport>> judge_sets(const std::filesystem::path& root,
                                               const std::vector<CheckedFile>& files,
                                               std::stop_token stop);

}  // namespace rgt
