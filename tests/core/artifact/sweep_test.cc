// SPDX-License-Identifier: MIT
// One pass on several threads says the same as one thread and the simplest loop would.
#include "core/artifact/sweep.h"

#include <cstring>
#include <random>

#include <zlib.h>

#include "core/base/digest.h"
#include "tests/core/artifact/artifact_fixture.h"

namespace rgt {
namespace {

// Regions of every type and of sizes around a piece, at odd places, and a NaN at each of their
// ends.
struct Made {
  std::string bytes = {};
  std::vector<Region> regions = {};
};

Made make_file() {
  std::mt19937 dice(7);
  Made made;
  for (int i = 0; i < 200; ++i) {
    const auto type = static_cast<ElementType>(dice() % 9);
    const std::size_t width = element_width(type);
    const std::size_t size =
        (i % 5 == 0 ? 262144 + dice() % 700000 : dice() % 3000) / width * width;
    made.bytes += std::string(dice() % 40, '\7');
    const std::size_t at = made.bytes.size();
    made.regions.push_back({at, size, type, dice() % 2 == 0});
    made.bytes += std::string(size, i % 7 == 0 ? '\0' : '\1');
    if (i % 3 != 0 || size == 0) continue;
    made.bytes.replace(at, width, std::string(width, '\xff'));
    made.bytes.replace(at + size - width, width, std::string(width, '\xff'));
  }
  return made;
}

std::uint64_t special(ElementType type) {
  return type == ElementType::other || type == ElementType::f8_fnuz ? 0 : 1;
}

}  // namespace

TEST_CASE("A sweep finds each region's CRC-32, its NaNs over piece ends, and the file's digest") {
  const Made made = make_file();
  const TemporaryFolder folder;
  const auto path = folder.path() / "bytes";
  std::ofstream(path, std::ios::binary) << made.bytes;
  auto file = FileBytes::open(path);
  REQUIRE(file);
  file->want_digest();
  const auto facts = sweep(*file, made.regions, {}, {});
  REQUIRE(facts);
  CHECK(file->digest() == sha256_hex(made.bytes));
  for (std::size_t i = 0; i < made.regions.size(); ++i) {
    INFO(i);
    const Region& region = made.regions[i];
    const std::string own = made.bytes.substr(region.at, region.size);
    const RegionFacts& found = (*facts)[i];
    CHECK(found.crc32 ==
          ::crc32(0, reinterpret_cast<const Bytef*>(own.data()), static_cast<uInt>(own.size())));
    CHECK(found.values.all_zero == (own.find_first_not_of('\0') == std::string::npos));
    const std::uint64_t ends = own.size() > element_width(region.type) ? 2 : own.size() > 0;
    CHECK(found.values.not_finite == (i % 3 == 0 ? ends * special(region.type) : 0));
  }
}

TEST_CASE("Every layout's NaNs and infinities are found, in both byte orders, and nothing else") {
  const auto count = [](ElementType type, std::uint64_t value, bool big) {
    const std::size_t width = element_width(type);
    std::string bytes(reinterpret_cast<const char*>(&value), width);
    if (big) bytes.assign(bytes.rbegin(), bytes.rend());
    ValueScan streamed(type, big);
    for (const char byte : bytes) streamed.feed({&byte, 1});
    const std::uint64_t at_once = scan_values(type, big, bytes).not_finite;
    CHECK(streamed.not_finite() == at_once);
    return at_once;
  };
  for (const bool big : {false, true}) {
    CHECK(count(ElementType::f32, 0x7F800000, big) == 1);
    CHECK(count(ElementType::f32, 0xFFC00001, big) == 1);
    CHECK(count(ElementType::f32, 0x7F7FFFFF, big) == 0);
    CHECK(count(ElementType::f64, 0x7FF0000000000000, big) == 1);
    CHECK(count(ElementType::f64, 0x7FEFFFFFFFFFFFFF, big) == 0);
    CHECK(count(ElementType::f16, 0xFC00, big) == 1);
    CHECK(count(ElementType::f16, 0x7BFF, big) == 0);
    CHECK(count(ElementType::bf16, 0x7FC0, big) == 1);
    CHECK(count(ElementType::bf16, 0x7F7F, big) == 0);
  }
  CHECK(count(ElementType::f8_e5m2, 0x7C, false) == 1);
  CHECK(count(ElementType::f8_e4m3, 0x7F, false) == 1);
  CHECK(count(ElementType::f8_e4m3, 0x7E, false) == 0);
  CHECK(count(ElementType::f8_fnuz, 0x80, false) == 1);
  CHECK(count(ElementType::f8_fnuz, 0xFF, false) == 0);
  CHECK(count(ElementType::f8_e8m0, 0xFF, false) == 1);
}

TEST_CASE("A file cut while it is swept is an error, not a signal") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "bytes";
  std::ofstream(path, std::ios::binary) << std::string(3000000, '\1');
  const auto file = FileBytes::open(path);
  REQUIRE(file);
  std::filesystem::resize_file(path, 1500000);
  CHECK(sweep(*file, {{0, 3000000}}, {}, {}).error().code == Code::corrupt);
}

TEST_CASE("A sweep stops when it is asked to") {
  std::stop_source source;
  source.request_stop();
  const auto file = FileBytes::open(data_file("training.pt"));
  CHECK(sweep(*file, {{0, 100}}, {}, source.get_token()).error().code == Code::cancelled);
}

TEST_CASE("Without a digest the proof is the same") {
  const auto report = check_artifact(data_file("training.pt"), {.digest = false}, {});
  REQUIRE(report);
  CHECK(report->verdict == ArtifactVerdict::ok);
  CHECK(report->sha256.empty());
}

}  // namespace rgt
