// SPDX-License-Identifier: MIT
// Files made to slip past a reader: attacks behind damage, behind floods, behind escapes; archives
// that other readers see differently. Every attack is a name only and could not run.
#include "core/artifact/unpickler.h"
#include "core/artifact/zip_archive.h"
#include "tests/core/artifact/artifact_fixture.h"
#include "tests/fuzz/memory_file.h"

namespace rgt {
namespace {

const std::string kAttack = "cos\nsystem\n0";

std::string checkpoint(const std::string& pickle) {
  return zip_of(
      {{"a/data.pkl", pickle}, {"a/data/0", std::string(16, '\1')}, {"a/version", "3\n"}});
}

std::string text(const std::string& words) { return "X" + little(words.size(), 4) + words; }

// persistent id of a float storage of four elements
const std::string kStorage =
    "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x04tQ";

std::string tensor(const std::string& shape, const std::string& stride) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + kStorage + "K" + std::string(1, '\0') + shape +
         stride +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}

}  // namespace

TEST_CASE("A well-formed checkpoint made by hand is fine, so the refusals below mean something") {
  const ArtifactReport report =
      check_bytes("m.pt", checkpoint("\x80\x02" + tensor("K\x04\x85", "K\x01\x85") + "."));
  CHECK(report.verdict == ArtifactVerdict::ok);
  CHECK(report.parameters == 4);
}

TEST_CASE("A sound file under another format's name is not what it is taken for") {
  const std::string torch = bytes_of(data_file("training.pt"));
  const std::string tensors = bytes_of(data_file("good.safetensors"));
  const std::string legacy = bytes_of(data_file("legacy.pt"));
  for (const auto& [name, bytes, fits] :
       std::vector<std::tuple<std::string, std::string, bool>>{{"m.safetensors", torch, false},
                                                               {"M.SafeTensors", torch, false},
                                                               {"m.pt", tensors, false},
                                                               {"m.npz", torch, false},
                                                               {"m.h5", tensors, false},
                                                               {"m.onnx", legacy, false},
                                                               {"m.PTH", torch, true},
                                                               {"m.pt", legacy, true},
                                                               {"m.ckpt", tensors, true},
                                                               {"pytorch_model.bin", torch, true},
                                                               {"weights", tensors, true}}) {
    INFO(name);
    const ArtifactReport report = check_bytes(name, bytes);
    CHECK((report.verdict == ArtifactVerdict::ok) == fits);
    if (fits) continue;
    CHECK(report.verdict == ArtifactVerdict::corrupt);
    CHECK(report.findings.back().what.find("but is " + report.format) != std::string::npos);
  }
}

TEST_CASE("An attack is named even when the pickle breaks behind it") {
  for (const std::string& rest : {std::string(""), std::string("\xff"), std::string("t."),
                                  std::string("X\xff\xff\xff\xff")}) {
    CHECK(check_bytes("m.pt", checkpoint("\x80\x02" + kAttack + rest)).verdict ==
          ArtifactVerdict::hostile);
    CHECK(check_bytes("m.pt", "\x80\x02" + kAttack + rest).verdict == ArtifactVerdict::hostile);
  }
}

TEST_CASE("An attack is named behind ten thousand names that are fine") {
  std::string pickle = "\x80\x02";
  for (int i = 0; i < 20000; ++i) pickle += "ctorch\nX" + std::to_string(i) + "Storage\n0";
  const ArtifactReport report = check_bytes("m.pt", checkpoint(pickle + "cos\nsystem\n."));
  CHECK(report.verdict == ArtifactVerdict::hostile);
}

TEST_CASE("Names hidden by escapes or quotes in text are read as Python reads them") {
  for (const char* module : {"S'os'\n", "S'o\\x73'\n", "S\"o\\163\"\n", "V\\u006fs\n", "Vos\n"}) {
    INFO(module);
    CHECK(check_bytes("m.pt", checkpoint("\x80\x04" + std::string(module) + "S'system'\n\x93."))
              .verdict == ArtifactVerdict::hostile);
  }
}

TEST_CASE("A pickle behind the end of data.pkl is searched too") {
  const std::string good = "\x80\x02" + tensor("K\x04\x85", "K\x01\x85") + ".";
  CHECK(check_bytes("m.pt", checkpoint(good + "\x80\x02" + kAttack + "N.")).verdict !=
        ArtifactVerdict::ok);
}

TEST_CASE(
    "Only dictionaries take keys and only lists take items: torch once wrote into memory there") {
  const std::string four = tensor("K\x04\x85", "K\x01\x85");
  CHECK(check_bytes("m.pt", checkpoint("\x80\x02" + four + text("k") + "Ns.")).verdict !=
        ArtifactVerdict::ok);
  CHECK(check_bytes("m.pt", checkpoint("\x80\x02"
                                       "K\x01" +
                                       text("k") + four + "s."))
            .verdict != ArtifactVerdict::ok);
  CHECK(check_bytes("m.pt", checkpoint("\x80\x02)" + four + "a.")).verdict != ArtifactVerdict::ok);
  CHECK(check_bytes("m.pt", checkpoint("\x80\x02}" + four + "a.")).verdict != ArtifactVerdict::ok);
}

TEST_CASE("Tensors described wrongly are corrupt, never a crash") {
  const std::string empty_size = "ctorch\nSize\n)R", odd_size = "ctorch\nSize\nNR";
  for (const std::string& shape : {empty_size, odd_size, std::string("N"), std::string("K\x05\x85"),
                                   std::string("J\xff\xff\xff\xff\x85")}) {
    const ArtifactReport report =
        check_bytes("m.pt", checkpoint("\x80\x02" + tensor(shape, "K\x01\x85") + "."));
    CHECK(report.verdict == ArtifactVerdict::corrupt);
  }
}

TEST_CASE("A tensor inside a tensor subclass is held against its storage as well") {
  const std::string inner =
      "(" + kStorage + "K" + std::string(1, '\0') + "K\x05\x85K\x01\x85\x89}t";
  const std::string outer =
      "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_"
      "v2\nctorch\nTensor\n" +
      inner + "}tR";
  CHECK(check_bytes("m.pt", checkpoint("\x80\x02" + outer + ".")).verdict ==
        ArtifactVerdict::corrupt);
}

TEST_CASE("A checkpoint that torch saved without checksums is not called corrupt") {
  std::string bytes = checkpoint("\x80\x02" + tensor("K\x04\x85", "K\x01\x85") + ".");
  for (const auto& [signature, offset] :
       {std::pair{little(0x04034b50, 4), 14}, std::pair{little(0x02014b50, 4), 16}}) {
    for (std::size_t at = bytes.find(signature); at != std::string::npos;
         at = bytes.find(signature, at + 4)) {
      bytes.replace(at + static_cast<std::size_t>(offset), 4, std::string(4, '\0'));
    }
  }
  const ArtifactReport report = check_bytes("m.pt", bytes);
  CHECK(report.verdict == ArtifactVerdict::ok);
  CHECK(says(report, "checksum"));
}

TEST_CASE("A second end record in the comment of the first is refused") {
  std::string bytes = checkpoint("\x80\x02" + tensor("K\x04\x85", "K\x01\x85") + ".");
  const std::string comment = "PK\x05\x06" + std::string(18, '\7');
  bytes.replace(bytes.size() - 2, 2, little(comment.size(), 2));
  CHECK(check_bytes("m.pt", bytes + comment).verdict != ArtifactVerdict::ok);
}

TEST_CASE("A checkpoint without a version record does not load in torch and is not fine here") {
  const std::string pickle = "\x80\x02" + tensor("K\x04\x85", "K\x01\x85") + ".";
  CHECK(check_bytes("m.pt", zip_of({{"a/data.pkl", pickle}, {"a/data/0", std::string(16, '\1')}}))
            .verdict != ArtifactVerdict::ok);
}

TEST_CASE(
    "An archive that declares more than its bytes can unpack to is refused before it is unpacked") {
  std::string bytes = zip_of({{"a/data.pkl", std::string(64, '\0')}, {"a/version", "3\n"}});
  const std::size_t directory = bytes.find(little(0x02014b50, 4));
  for (const auto& [at, size_at] :
       {std::pair<std::size_t, std::size_t>{8, 22}, std::pair{directory + 10, directory + 24}}) {
    bytes.replace(at, 2, little(8, 2));
    bytes.replace(size_at, 4, little(0xFFFFFFFE, 4));
  }
  const ArtifactReport report = check_bytes("m.pt", bytes);
  CHECK(report.verdict == ArtifactVerdict::corrupt);
  CHECK(says(report, "declares more than its bytes can unpack to"));
}

TEST_CASE("Every type that safetensors defines is known") {
  const std::vector<std::pair<std::string, int>> types{
      {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
  for (const auto& [type, bits] : types) {
    const std::string size = std::to_string(bits);  // eight elements
    const std::string header =
        R"({"a":{"dtype":")" + type + R"(","shape":[8],"data_offsets":[0,)" + size + "]}}";
    INFO(type);
    CHECK(check_bytes("m.safetensors", little(header.size(), 8) + header +
                                           std::string(static_cast<std::size_t>(bits), '\1'))
              .verdict == ArtifactVerdict::ok);
  }
  const std::string odd = R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})";
  CHECK(check_bytes("m.safetensors", little(odd.size(), 8) + odd + "x").verdict ==
        ArtifactVerdict::corrupt);
}

TEST_CASE("A file that is written to while it is checked is noticed") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "m.csv";
  std::ofstream(path) << "a\n1\n";
  const auto file = FileBytes::open(path);
  REQUIRE(file);
  CHECK(file->unchanged());
  std::ofstream(path, std::ios::app) << "2\n";
  CHECK_FALSE(file->unchanged());
}

TEST_CASE("A table separated by tabs may hold commas") {
  CHECK(check_bytes("m.tsv", "step\tnote\n1\ta,b\n2\tc\n").verdict == ArtifactVerdict::ok);
}

}  // namespace rgt
