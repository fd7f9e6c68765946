// SPDX-License-Identifier: MIT
// Files that torch 1.13 wrote (make_corpus.py).
#include <algorithm>

#include <zlib.h>

#include "core/artifact/zip_archive.h"
#include "tests/core/artifact/artifact_fixture.h"
#include "tests/fuzz/memory_file.h"

namespace rgt {
namespace {

ArtifactReport check(const std::string& name, Depth depth = Depth::resume) {
  return check_artifact(data_file(name), {depth}, {}).value();
}

}  // namespace

TEST_CASE("Checkpoints that torch wrote are proven to the deepest level") {
  for (const char* name :
       {"state_dict.pt", "training.pt", "views.pt", "dtypes.pt", "parameter.pt", "nan.pt",
        "zeros.pt", "torch2.pt", "big_endian.pt", "deflated.pt", "zip64.pt", "lightning.ckpt"}) {
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

TEST_CASE("Every shape of torch's archives is read: deflated, aligned, zip64, big-endian") {
  CHECK(check("torch2.pt").parameters == check("training.pt").parameters);
  CHECK(check("deflated.pt").parameters == check("training.pt").parameters);
  CHECK(says(check("deflated.pt"), "model, optimizer, scheduler, step and RNG are there"));
  CHECK(says(check("big_endian.pt"), "2 values are NaN or infinite"));
  CHECK_FALSE(says(check("torch2.pt"), "edited or merged"));
}

TEST_CASE("An archive whose records were swapped for other whole ones is told from torch's own") {
  std::string bytes = bytes_of(data_file("torch2.pt"));
  const auto file = FileBytes::open(data_file("torch2.pt"));
  const auto zip = ZipArchive::open(*file);
  REQUIRE(zip);
  const ZipEntry* id = zip->find("archive/.data/serialization_id");
  REQUIRE(id != nullptr);
  std::string digits = bytes.substr(id->data, 40);
  digits.back() = digits.back() == '0' ? '1' : '0';
  const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(digits.data()), 40);
  bytes.replace(id->data, 40, digits);
  for (std::size_t place = bytes.find(little(id->crc32, 4)); place != std::string::npos;
       place = bytes.find(little(id->crc32, 4), place + 4))
    bytes.replace(place, 4, little(crc, 4));
  const ArtifactReport report = check_bytes("torch2.pt", bytes);
  CHECK(report.verdict == ArtifactVerdict::ok);
  CHECK(says(report, "edited or merged"));
}

TEST_CASE(
    "The old format is proven as far as it can be: every byte has its place, and the values") {
  for (const char* name : {"legacy.pt", "training_legacy.pt"}) {
    const ArtifactReport report = check(name);
    INFO(name);
    CHECK(report.verdict == ArtifactVerdict::ok);
    CHECK(report.format == "pytorch_legacy");
    CHECK(report.depth == Depth::resume);
    CHECK(says(report, "no checksums"));
  }
  CHECK(check("legacy.pt").parameters == 36);
  CHECK(says(check("training_legacy.pt"), "training state without: scheduler RNG"));
  const std::string whole = bytes_of(data_file("legacy.pt"));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    INFO(size);
    CHECK(check_bytes("m.pt", whole.substr(0, size)).verdict != ArtifactVerdict::ok);
  }
  CHECK(says(check_bytes("m.pt", whole + "x"), "1 bytes behind its last storage"));
}

TEST_CASE("TorchScript is proven without running it, and said to be a program") {
  const ArtifactReport report = check("script.pt");
  CHECK(report.verdict == ArtifactVerdict::ok);
  CHECK(report.format == "torchscript");
  CHECK(report.depth == Depth::values);
  CHECK(report.parameters == 36);
  CHECK(says(report, "torch.jit.load runs the code in it"));
}

TEST_CASE("Parts of a training state that do not belong together are told or refused") {
  CHECK(says(check("lightning.ckpt"), "Lightning never stores RNG"));
  CHECK_FALSE(says(check("lightning.ckpt"), "no gradient scaler"));
  CHECK(says(check("torn_steps.ckpt"), "has taken 1 steps, but global_step says 0"));
  CHECK(check("other_model.pt").verdict == ArtifactVerdict::incomplete);
  CHECK(says(check("other_model.pt"), "the optimizer steps 2 parameters"));
  CHECK(check("other_shapes.pt").verdict == ArtifactVerdict::incomplete);
  CHECK(says(check("other_shapes.pt"), "a moment of shape [4, 8]"));
}

TEST_CASE("What cannot be proven by reading does not pass: tar archives, unknown files") {
  std::string tar(1024, '\0');
  tar.replace(257, 5, "ustar");
  CHECK(check_bytes("model.pt", tar).verdict == ArtifactVerdict::unverified);
  CHECK(check_bytes("model.pt", tar).format == "pytorch_tar");
  CHECK(check_bytes("state.pkl", "\x80\x02}.").verdict == ArtifactVerdict::unverified);
  CHECK(check_bytes("notes.dat", "hello").verdict == ArtifactVerdict::unverified);
  CHECK(check_bytes("model.pt", "hello").verdict == ArtifactVerdict::corrupt);
  CHECK(check_bytes("model.pt", "").verdict == ArtifactVerdict::incomplete);
}

TEST_CASE("A folder is every file below it, and an absent path is an error") {
  const auto all = check_paths({data_file("")}, {}, {}).value();
  CHECK(all.size() == static_cast<std::size_t>(
                          std::distance(std::filesystem::directory_iterator(data_file("")), {})));
  CHECK(std::is_sorted(all.begin(), all.end(),
                       [](const auto& a, const auto& b) { return a.path < b.path; }));
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
