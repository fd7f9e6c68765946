// SPDX-License-Identifier: MIT
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

#include "core/artifact/reader.h"
#include "tests/temporary_folder.h"

namespace rgt {

inline std::filesystem::path data_file(const std::string& name) {
  return std::filesystem::path(RGT_SOURCE_DIR) / "tests" / "core" / "artifact" / "data" / name;
}

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

// Checks bytes as a file of this name.
inline ArtifactReport check_bytes(const std::string& name, const std::string& bytes,
                                  Depth depth = Depth::resume) {
  const TemporaryFolder folder;
  const auto path = folder.path() / name;
  std::ofstream(path, std::ios::binary) << bytes;
  const auto report = check_artifact(path, {depth}, {});
  INFO((report.ok() ? "" : report.error().message));
  REQUIRE(report.ok());
  return *report;
}

inline bool says(const ArtifactReport& report, const std::string& words) {
  for (const Finding& finding : report.findings) {
    if (finding.what.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace rgt
