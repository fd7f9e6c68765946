// SPDX-License-Identifier: MIT
#include "tests/core/artifact/artifact_fixture.h"

namespace rgt {

TEST_CASE("Whole metrics pass, also with Python's NaN") {
  CHECK(check_bytes("m.json", R"({"loss": 0.5, "name": "NaN in a string"})").verdict ==
        ArtifactVerdict::ok);
  const ArtifactReport nan = check_bytes("m.json", R"({"loss": NaN, "best": -Infinity})");
  CHECK(nan.verdict == ArtifactVerdict::ok);
  CHECK(says(nan, "2 values are NaN or infinite"));
  CHECK(check_bytes("m.jsonl", "{\"step\":1}\n{\"step\":2}\n").verdict == ArtifactVerdict::ok);
  CHECK(check_bytes("m.csv", "epoch,loss\n1,0.5\n2,\"0,4\"\n").verdict == ArtifactVerdict::ok);
  CHECK(says(check_bytes("m.csv", "epoch,loss\n1,nan\n"), "1 values"));
}

TEST_CASE("Cut, damaged and empty metrics do not pass") {
  CHECK(check_bytes("m.json", R"({"loss": 0.5)").verdict == ArtifactVerdict::corrupt);
  CHECK(check_bytes("m.json", R"({"loss": 0.5} trailing)").verdict == ArtifactVerdict::corrupt);
  CHECK(check_bytes("m.json", "{}").verdict == ArtifactVerdict::incomplete);
  CHECK(check_bytes("m.json", "  \n").verdict == ArtifactVerdict::incomplete);
  CHECK(check_bytes("m.json", std::string("{\"a\":\0}", 7)).verdict == ArtifactVerdict::corrupt);
  CHECK(check_bytes("m.json", std::string(100000, '[')).verdict == ArtifactVerdict::corrupt);
  CHECK(says(check_bytes("m.jsonl", "{\"step\":1}\n{\"st"), "line 2"));
  CHECK(check_bytes("m.csv", "epoch,loss\n").verdict == ArtifactVerdict::incomplete);
  CHECK(says(check_bytes("m.csv", "epoch,loss\n1,0.5\n2\n"), "record 3 has 1 fields"));
  CHECK(check_bytes("m.csv", "epoch,loss\n1,\"0.5\n").verdict == ArtifactVerdict::corrupt);
}

}  // namespace rgt
