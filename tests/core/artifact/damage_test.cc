// SPDX-License-Identifier: MIT
// Every byte of a checkpoint flipped, every length cut: caught, or proven harmless because every
// record is still the same.
#include <map>

#include "core/artifact/format.h"
#include "core/artifact/zip_archive.h"
#include "tests/core/artifact/artifact_fixture.h"

namespace rgt {
namespace {

std::map<std::string, std::string> records_of(const std::filesystem::path& path) {
  const auto file = FileBytes::open(path);
  REQUIRE(file);
  const auto zip = ZipArchive::open(*file);
  REQUIRE(zip);
  std::map<std::string, std::string> records;
  for (const ZipEntry& entry : zip->entries()) {
    std::string& bytes = records[entry.name];
    REQUIRE(zip->read(entry, {}, [&](std::string_view piece) { bytes += piece; }));
  }
  return records;
}

}  // namespace

TEST_CASE("A damaged byte order is a verdict of the reader, not a failure to read") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "m.pt";
  std::string damaged = bytes_of(data_file("torch2.pt"));
  const std::size_t at = damaged.find("little");
  REQUIRE(at != std::string::npos);
  damaged[at] = 'L';
  std::ofstream(path, std::ios::binary) << damaged;
  const auto file = FileBytes::open(path);
  REQUIRE(file);
  ArtifactReport report;
  CHECK(read_pytorch_zip(*file, Depth::structure, {}, report));
  CHECK(report.verdict == ArtifactVerdict::corrupt);
  REQUIRE_FALSE(report.findings.empty());
  CHECK(report.findings[0].what.find("byteorder") != std::string::npos);
}

TEST_CASE("A flipped bit anywhere in a PyTorch checkpoint is caught or changes no record") {
  for (const char* name : {"state_dict.pt", "views.pt"}) {
    const std::string whole = bytes_of(data_file(name));
    const auto original = records_of(data_file(name));
    const TemporaryFolder folder;
    const auto path = folder.path() / "m.pt";
    std::size_t harmless = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      std::ofstream(path, std::ios::binary) << damaged;
      const auto report = check_artifact(path, {}, {});
      REQUIRE(report);
      if (report->verdict != ArtifactVerdict::ok) continue;
      ++harmless;
      INFO(name << " byte " << i);
      CHECK(records_of(path) == original);
    }
    // Times, versions and padding carry no meaning; everything else must have been caught.
    CHECK(harmless < whole.size() / 2);
  }
}

TEST_CASE("A checkpoint cut at any length, or with bytes appended, is caught") {
  const std::string whole = bytes_of(data_file("state_dict.pt"));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const ArtifactReport report = check_bytes("m.pt", whole.substr(0, size));
    INFO(size);
    CHECK(report.verdict != ArtifactVerdict::ok);
  }
  CHECK(check_bytes("m.pt", whole + "x").verdict != ArtifactVerdict::ok);
  CHECK(check_bytes("m.pt", whole + std::string(70000, '\0')).verdict != ArtifactVerdict::ok);
  CHECK(check_bytes("m.pt", whole.substr(0, whole.size() - 100) + std::string(100, '\0')).verdict !=
        ArtifactVerdict::ok);
}

TEST_CASE("A flipped byte inside a tensor, which torch.load accepts, is named by its record") {
  std::string bytes = bytes_of(data_file("state_dict.pt"));
  const auto file = FileBytes::open(data_file("state_dict.pt"));
  const auto zip = ZipArchive::open(*file);
  const ZipEntry* storage = zip->find("state_dict/data/0");
  REQUIRE(storage != nullptr);
  bytes[static_cast<std::size_t>(storage->data) + 5] ^= 0x10;
  const ArtifactReport report = check_bytes("m.pt", bytes);
  CHECK(report.verdict == ArtifactVerdict::corrupt);
  CHECK(says(report, "CRC-32 of state_dict/data/0"));
  CHECK(check_bytes("m.pt", bytes, Depth::structure).verdict ==
        ArtifactVerdict::ok);  // why depth matters
}

TEST_CASE("A zeroed page inside a file is caught") {
  std::string bytes = bytes_of(data_file("training.pt"));
  REQUIRE(bytes.size() > 8192);
  bytes.replace(2048, 4096, std::string(4096, '\0'));
  CHECK(check_bytes("m.pt", bytes).verdict != ArtifactVerdict::ok);
}

}  // namespace rgt
