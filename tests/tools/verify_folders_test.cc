// SPDX-License-Identifier: MIT
#include "tools/verify_folders.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "tests/temporary_folder.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// Files of a run as verify_artifacts has them after reading each by itself.
struct Files {
  explicit Files(const std::string& folder, const std::string& without = "") {
    fs::copy(fs::path(RGT_SOURCE_DIR) / "tests/core/artifact/folders" / folder, root.path() / "c1",
             fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(root.path() / "c1")) {
      if (!entry.is_regular_file() || entry.path().filename() == without) continue;
      reports.push_back(check_artifact(entry.path(), {}, {}).value());
    }
    for (const ArtifactReport& report : reports)
      verdicts.emplace_back(artifact_verdict_name(report.verdict));
  }
  std::vector<ArtifactReport> judge() {
    std::vector<CheckedFile> files;
    for (std::size_t i = 0; i < reports.size(); ++i) files.push_back({&reports[i], &verdicts[i]});
    return judge_sets(root.path(), files, {}).value();
  }
  std::size_t count(const std::string& verdict) const {
    return static_cast<std::size_t>(std::count(verdicts.begin(), verdicts.end(), verdict));
  }
  TemporaryFolder root = {};
  std::vector<ArtifactReport> reports = {};
  std::vector<std::string> verdicts = {};
};

}  // namespace

TEST_CASE("Files of a whole set are ok, also those that only the set proves") {
  Files files("dcp");
  CHECK(files.count("unverified") == 3);
  const auto sets = files.judge();
  REQUIRE(sets.size() == 1);
  CHECK(sets[0].verdict == ArtifactVerdict::ok);
  CHECK(files.count("ok") == 3);
}

TEST_CASE("No file of a set is ok that lacks one which was not named, not pulled or not the same") {
  Files files("sharded_safetensors", "model-00002-of-00002.safetensors");
  CHECK(files.count("ok") == 2);
  const auto sets = files.judge();
  REQUIRE(sets.size() == 1);
  CHECK(sets[0].verdict == ArtifactVerdict::incomplete);
  CHECK(files.count("incomplete") == 2);
  CHECK(files.reports[0].findings[0].what.find("shards are missing") != std::string::npos);

  Files differ("sharded_safetensors");
  differ.verdicts[1] = "digest_mismatch";
  differ.judge();
  CHECK(differ.count("ok") == 0);
  CHECK(differ.count("digest_mismatch") == 1);
}

TEST_CASE("Files of no set stay as they are") {
  Files files("dcp_broken");
  const auto before = files.verdicts;
  CHECK(files.judge().empty());
  CHECK(files.verdicts == before);
}

}  // namespace rgt
