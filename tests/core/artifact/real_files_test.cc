// SPDX-License-Identifier: MIT
// Files that torch 1.13 wrote (make_corpus.py).
#include "tests/core/artifact/artifact_fixture.h"

namespace rgt {
namespace {

ArtifactReport check(const std::string& name, Depth depth = Depth::resume) {
  return check_artifact(data_file(name), {depth}, {}).value();
}

}  // namespace

TEST_CASE("Checkpoints that torch wrote are proven to the deepest level") {
  for (const char* name : {"state_dict.pt", "training.pt", "views.pt", "dtypes.pt", "parameter.pt",
                           "nan.pt", "zeros.pt"}) {
    const ArtifactReport report = check(name);
    INFO(name);
    CHECK(report.verdict == ArtifactVerdict::ok);
    CHECK(report.format == "pytorch_zip");
    CHECK(report.depth == Depth::resume);
    CHECK(report.sha256.size() == 64);
  }
  CHECK(check("state_dict.pt").tensors == 2);
  CHECK(check("state_dict.pt").parameters == 36);
  CHECK(check("views.pt").tensors == 6);
  CHECK(check("dtypes.pt").tensors == 11);
}

TEST_CASE("What a checkpoint holds is told: training state, NaNs, zeros") {
  CHECK(says(check("training.pt"), "model, optimizer, scheduler, step and RNG are there"));
  CHECK(says(check("state_dict.pt"), "no optimizer state"));
  CHECK(says(check("nan.pt"), "2 values are NaN or infinite"));
  CHECK(says(check("zeros.pt"), "every tensor is all zero"));
}

TEST_CASE("Depth levels stop where they say") {
  CHECK(check("state_dict.pt", Depth::present).sha256.empty());
  CHECK(check("state_dict.pt", Depth::digest).depth == Depth::digest);
  CHECK(check("state_dict.pt", Depth::structure).depth == Depth::structure);
  CHECK(check("state_dict.pt", Depth::checksums).depth == Depth::checksums);
  CHECK(check("nan.pt", Depth::checksums).findings.empty());
}

TEST_CASE(
    "What cannot be proven by reading does not pass: the old format, TorchScript, unknown files") {
  CHECK(check("legacy.pt").verdict == ArtifactVerdict::unverified);
  CHECK(check("legacy.pt").format == "pytorch_legacy");
  CHECK(check("script.pt").verdict == ArtifactVerdict::unverified);
  CHECK(check_bytes("notes.dat", "hello").verdict == ArtifactVerdict::unverified);
  CHECK(check_bytes("model.pt", "hello").verdict == ArtifactVerdict::corrupt);
  CHECK(check_bytes("model.pt", "").verdict == ArtifactVerdict::incomplete);
}

TEST_CASE("A folder is every file below it, and an absent path is an error") {
  const auto all = check_paths({data_file("")}, {}, {}).value();
  CHECK(all.size() == 11);
  CHECK(check_paths({"/no/such/file"}, {}, {}).error().code == Code::not_found);
  const TemporaryFolder empty;
  CHECK(check_paths({empty.path()}, {}, {})->empty());
  std::filesystem::create_symlink(data_file("state_dict.pt"), empty.path() / "link.pt");
  CHECK(check_paths({empty.path()}, {}, {})->empty());
}

TEST_CASE("A check stops when it is asked to") {
  std::stop_source source;
  source.request_stop();
  CHECK(check_artifact(data_file("training.pt"), {}, source.get_token()).error().code ==
        Code::cancelled);
}

}  // namespace rgt
