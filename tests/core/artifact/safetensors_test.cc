// SPDX-License-Identifier: MIT
#include "tests/core/artifact/artifact_fixture.h"

namespace rgt {
namespace {

std::string file_of(const std::string& header, std::size_t data_bytes,
                    std::uint64_t claimed = ~0ull) {
  std::uint64_t size = claimed == ~0ull ? header.size() : claimed;
  std::string bytes;
  for (int i = 0; i < 8; ++i, size >>= 8) bytes += static_cast<char>(size & 0xFF);
  return bytes + header + std::string(data_bytes, '\1');
}

ArtifactVerdict verdict_of(const std::string& header, std::size_t data_bytes) {
  return check_bytes("m.safetensors", file_of(header, data_bytes)).verdict;
}

const std::string kOne = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

}  // namespace

TEST_CASE("Whole files pass, with their tensors counted and their NaNs told") {
  const ArtifactReport good = check_artifact(data_file("good.safetensors"), {}, {}).value();
  CHECK(good.verdict == ArtifactVerdict::ok);
  CHECK(good.depth ==
        Depth::values);  // the format has no checksum: there is nothing deeper to check
  CHECK(good.tensors == 3);
  CHECK(good.parameters == 9);
  CHECK(says(check_artifact(data_file("nan.safetensors"), {}, {}).value(), "1 values are NaN"));
  CHECK(verdict_of("{" + kOne + "}", 8) == ArtifactVerdict::ok);
}

TEST_CASE("Headers that lie are refused") {
  CHECK(verdict_of("{" + kOne + "}", 7) == ArtifactVerdict::corrupt);  // cut
  CHECK(verdict_of("{" + kOne + "}", 9) == ArtifactVerdict::corrupt);  // bytes of nobody
  CHECK(verdict_of("{" + kOne + "," + kOne + "}", 8) ==
        ArtifactVerdict::corrupt);  // twice the same name
  CHECK(
      verdict_of(
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
          12) == ArtifactVerdict::corrupt);
  CHECK(verdict_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12) ==
        ArtifactVerdict::corrupt);  // a hole
  CHECK(verdict_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8) ==
        ArtifactVerdict::corrupt);
  CHECK(verdict_of(R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", 8) ==
        ArtifactVerdict::corrupt);
  CHECK(verdict_of(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
                   8) == ArtifactVerdict::corrupt);
  CHECK(verdict_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8) ==
        ArtifactVerdict::corrupt);
  CHECK(verdict_of(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8) == ArtifactVerdict::corrupt);
  CHECK(verdict_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8) ==
        ArtifactVerdict::corrupt);
  CHECK(verdict_of(R"({"a":[1]})", 8) == ArtifactVerdict::corrupt);
  CHECK(verdict_of("{}", 0) == ArtifactVerdict::incomplete);
  CHECK(verdict_of(R"({"__metadata__":{"x":1}})", 0) == ArtifactVerdict::corrupt);
}

TEST_CASE("Header lengths from nowhere are refused without reading them") {
  for (const std::uint64_t claimed :
       {std::uint64_t{1} << 63, std::uint64_t{100000001}, std::uint64_t{1000}, std::uint64_t{0}}) {
    CHECK(check_bytes("m.safetensors", file_of("{}", 0, claimed)).verdict ==
          ArtifactVerdict::corrupt);
  }
  CHECK(check_bytes("m.safetensors", "short").verdict == ArtifactVerdict::corrupt);
}

TEST_CASE("Every cut of a file is caught, and every flip in its header is caught or harmless") {
  const std::string whole = bytes_of(data_file("good.safetensors"));
  for (std::size_t size = 1; size < whole.size(); ++size)
    CHECK(check_bytes("m.safetensors", whole.substr(0, size)).verdict != ArtifactVerdict::ok);
  // A flip in the data is what the manifest's digest is for: the format cannot show it.
  std::string flipped = whole;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  CHECK(check_bytes("m.safetensors", flipped).sha256 != check_bytes("m.safetensors", whole).sha256);
}

}  // namespace rgt
