// SPDX-License-Identifier: MIT
// Bundle: a folder of proven artifacts with a list of what must be in it (rgt-bundle.json), so that
// anyone can check it again with no ledger and no box. The list comes with the folder from
// elsewhere: it is hostile, and never leads a check out of the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/reader.h"
#include "core/base/result.h"

namespace rgt {

inline constexpr const char* kBundleName = "rgt-bundle.json";

struct BundleFile {
  std::string path = {};  // relative to the folder: cell/path; any bytes
  std::uint64_t size = 0;
  std::string sha256 = {};
  std::string format = {}, reader = {}, depth = {};  // how it was proven when the list was made
};

struct Bundle {
  std::string run = {};
  std::string tool = {};             // "rgt 0.1.0"
  std::string made = {};             // ISO 8601
  std::string manifest_digest = {};  // of the manifest that was taken on the box
  std::vector<std::string> cells = {};
  std::vector<BundleFile> files = {};
};

std::string bundle_text(const Bundle& bundle);

// corrupt for what is no list of ours; refused for paths that lead out of the folder, are named
// twice or lie inside of one another; limit beyond 100,000 files. Fuzzed.
Result<Bundle> parse_bundle(std::string_view text);

struct BundleCheck {
  Bundle bundle = {};
  // One per file of the list, in its order. `ok` only if it is there, a real file reached through
  // no link, equals the list, and loads; otherwise the first finding says why not.
  std::vector<ArtifactReport> reports = {};
  std::vector<std::string> unlisted = {};  // files here that the list does not name (bounded, 100)
};

// Reads only. not_found without a list; else parse_bundle's errors.
Result<BundleCheck> check_bundle(const std::filesystem::path& folder, std::stop_token stop);

// Files below `folder` that `listed` (relative paths) does not hold, sorted, at most `limit`.
// Hidden folders of rgt's own and the list itself do not count.
std::vector<std::string> files_beside(const std::filesystem::path& folder,
                                      const std::set<std::string>& listed, std::size_t limit);

}  // namespace rgt
