// SPDX-License-Identifier: MIT
// A file is only as good as the set it belongs to: what the gate asks for are files.
#include <algorithm>

#include <catch2/catch.hpp>

#include "core/artifact/bundle.h"
#include "core/artifact/reader.h"
#include "core/base/files.h"
#include "tests/temporary_folder.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// A checkpoint folder, each of its files read by itself.
struct Files {
  explicit Files(const std::string& folder) {
    fs::copy(fs::path(RGT_SOURCE_DIR) / "tests/core/artifact/folders" / folder, root.path() / "c1",
             fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(root.path() / "c1")) {
      if (entry.is_regular_file()) reports.push_back(check_artifact(entry.path(), {}, {}).value());
    }
  }
  // `without`: a file that was not named, not pulled or not the same.
  std::vector<ArtifactReport> judge(const std::string& without = "") {
    std::vector<ArtifactReport*> files;
    for (ArtifactReport& report : reports) {
      if (fs::path(report.path).filename() != without) files.push_back(&report);
    }
    return judge_sets(root.path(), files, {}).value();
  }
  std::ptrdiff_t count(ArtifactVerdict verdict) const {
    return std::count_if(reports.begin(), reports.end(),
                         [&](const ArtifactReport& report) { return report.verdict == verdict; });
  }
  // A list as verify_artifacts writes it.
  void write_bundle() {
    Bundle bundle{.run = "r", .cells = {"c1"}};
    for (const ArtifactReport& report : reports) {
      bundle.files.push_back({fs::path(report.path).lexically_relative(root.path()).string(),
                              report.size, report.sha256, report.format, report.reader, ""});
    }
    REQUIRE(write_file_atomically(root.path() / kBundleName, bundle_text(bundle)));
  }
  TemporaryFolder root = {};
  std::vector<ArtifactReport> reports = {};
};

std::ptrdiff_t fine(const BundleCheck& check) {
  return std::count_if(
      check.reports.begin(), check.reports.end(),
      [](const ArtifactReport& report) { return report.verdict == ArtifactVerdict::ok; });
}

}  // namespace

TEST_CASE("Files of a whole set are ok, also those that only the set proves") {
  Files files("dcp");
  CHECK(files.count(ArtifactVerdict::unverified) == 3);
  const auto sets = files.judge();
  REQUIRE(sets.size() == 1);
  CHECK(sets[0].verdict == ArtifactVerdict::ok);
  CHECK(files.count(ArtifactVerdict::ok) == 3);
}

TEST_CASE("No file of a set is ok that lacks one") {
  Files files("sharded_safetensors");
  const auto sets = files.judge("model-00002-of-00002.safetensors");
  REQUIRE(sets.size() == 1);
  CHECK(sets[0].verdict == ArtifactVerdict::incomplete);
  CHECK(files.count(ArtifactVerdict::incomplete) == 2);
  const auto index = std::find_if(
      files.reports.begin(), files.reports.end(),
      [](const ArtifactReport& report) { return report.verdict == ArtifactVerdict::incomplete; });
  CHECK(index->findings[0].what.find("shards are missing") != std::string::npos);
}

TEST_CASE("Files of no set stay as they are") {
  Files files("dcp_broken");
  const auto before = files.count(ArtifactVerdict::ok);
  CHECK(files.judge().empty());
  CHECK(files.count(ArtifactVerdict::ok) == before);
}

TEST_CASE("A bundle is checked as the sets that it holds") {
  Files files("dcp");
  files.write_bundle();
  CHECK(fine(check_bundle(files.root.path(), {}).value()) == 3);

  // Every byte is as listed, and still a part of the checkpoint is not there.
  Files lacking("sharded_safetensors");
  std::erase_if(lacking.reports, [](const ArtifactReport& report) {
    return fs::path(report.path).filename() == "model-00002-of-00002.safetensors";
  });
  fs::remove(lacking.root.path() / "c1/model-00002-of-00002.safetensors");
  lacking.write_bundle();
  CHECK(fine(check_bundle(lacking.root.path(), {}).value()) == 0);
}

}  // namespace rgt
