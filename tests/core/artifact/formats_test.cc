// SPDX-License-Identifier: MIT
// The formats that are not PyTorch's, as their own writers write them (make_formats.py), and
// damaged.
#include <cstring>
#include <filesystem>
#include <functional>

#include "core/artifact/sweep.h"
#include "core/artifact/zip_archive.h"
#include "tests/core/artifact/artifact_fixture.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

fs::path format_file(const std::string& name) {
  return data_file("").parent_path().parent_path() / "formats" / name;
}
std::string format_bytes(const std::string& name) { return bytes_of(format_file(name)); }
ArtifactReport check_format(const std::string& name, Depth depth = Depth::resume) {
  const auto report = check_artifact(format_file(name), {depth}, {});
  REQUIRE(report.ok());
  return *report;
}

struct Expected {
  std::string name = {}, format = {};
  std::uint64_t tensors = 0, parameters = 0;
  Depth depth = Depth::values;
};

std::string as_text(const ArtifactReport& report) {
  std::string text = report.path + ": " + std::string(artifact_verdict_name(report.verdict));
  for (const Finding& finding : report.findings) text += "\n  " + finding.what;
  return text;
}

void check_whole(const Expected& expected) {
  const ArtifactReport report = check_format(expected.name);
  INFO(as_text(report));
  CHECK(report.verdict == ArtifactVerdict::ok);
  CHECK(report.format == expected.format);
  CHECK(report.tensors == expected.tensors);
  CHECK(report.parameters == expected.parameters);
  CHECK(report.depth == expected.depth);
  CHECK(report.sha256.size() == 64);
}

void check_finding(const std::string& name, ArtifactVerdict verdict, const std::string& words) {
  const ArtifactReport report = check_format(name);
  INFO(as_text(report));
  CHECK(report.verdict == verdict);
  CHECK(says(report, words));
}

// No part of a file passes for the whole of it. `harmless` says which lengths may.
void check_cuts(
    const std::string& name, std::size_t step = 1,
    const std::function<bool(std::size_t)>& harmless = [](std::size_t) { return false; }) {
  const std::string whole = format_bytes(name);
  for (std::size_t size = 1; size < whole.size(); size += step) {
    const ArtifactReport report = check_bytes(name, whole.substr(0, size));
    INFO(size << " bytes of " << as_text(report));
    if (!harmless(size)) CHECK(report.verdict != ArtifactVerdict::ok);
  }
}

// The bytes that can be changed without anybody noticing.
std::vector<std::size_t> silent_flips(const std::string& name, std::size_t step = 1) {
  const std::string whole = format_bytes(name);
  std::vector<std::size_t> silent;
  for (std::size_t at = 0; at < whole.size(); at += step) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
    if (check_bytes(name, flipped).verdict == ArtifactVerdict::ok) silent.push_back(at);
  }
  return silent;
}

// Only fields of a zip's headers that no reader looks at may change: times, attributes, versions.
void check_flips_of_zip(const std::string& name) {
  const auto file = FileBytes::open(format_file(name));
  REQUIRE(file);
  const auto zip = ZipArchive::open(*file);
  REQUIRE(zip);
  const std::vector<std::size_t> silent = silent_flips(name);
  CHECK(silent.size() < 60 * zip->entries().size());
  for (const ZipEntry& entry : zip->entries()) {
    for (const std::size_t at : silent) {
      INFO("byte " << at << " of " << entry.name);
      // The bits behind the end of a deflate stream mean nothing.
      const std::size_t end = entry.data + entry.packed - entry.deflated;
      CHECK((at < entry.data || at >= end));
    }
  }
}

std::string with(std::string bytes, const std::string& from, const std::string& to) {
  const std::size_t at = bytes.find(from);
  REQUIRE(at != std::string::npos);
  return bytes.replace(at, from.size(), to);
}

std::string with_word(std::string bytes, std::size_t at, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

}  // namespace

// ---- numpy

TEST_CASE("Arrays of numpy pass in all versions, layouts and types, with their values counted") {
  check_whole({"f32.npy", "npy", 1, 12});
  check_whole({"fortran.npy", "npy", 1, 15});
  check_whole({"big_endian.npy", "npy", 1, 7});
  check_whole({"scalar.npy", "npy", 1, 1});
  check_whole({"empty.npy", "npy", 1, 0});
  check_whole({"bool.npy", "npy", 1, 2});
  check_whole({"records.npy", "npy", 1, 4});
  check_whole({"version2.npy", "npy", 1, 12});
  check_whole({"version3.npy", "npy", 1, 2});
  check_whole({"two.npy", "npy", 2, 17});
  check_whole({"stored.npz", "npz", 3, 22});
  check_whole({"packed.npz", "npz", 2, 2012});
}

TEST_CASE("NaNs in arrays are told, in fields of structured ones and in packed ones too") {
  check_finding("nan.npy", ArtifactVerdict::ok, "2 values are NaN");
  check_finding("records.npy", ArtifactVerdict::ok, "2 values are NaN");
  check_finding("nan.npz", ArtifactVerdict::ok, "4 values are NaN");
  check_finding("packed.npz", ArtifactVerdict::ok, "1 of 2 tensors are all zero");
}

TEST_CASE("Arrays of Python objects are never called proven, and attacks in them are named") {
  check_finding("objects.npy", ArtifactVerdict::unverified, "holds Python objects");
  check_finding("objects.npz", ArtifactVerdict::unverified, "holds Python objects");
  std::string bytes = format_bytes("objects.npy");
  const std::size_t pickle = bytes.find('\x80');
  const std::string attack =
      "\x80\x02"
      "cos\nmkdir\nX\x04" +
      std::string(3, '\0') + "/tmp\x85R.";
  const ArtifactReport hostile = check_bytes("objects.npy", bytes.substr(0, 128) + attack);
  REQUIRE(pickle != std::string::npos);
  CHECK(hostile.verdict == ArtifactVerdict::hostile);
  CHECK(says(hostile, "os.mkdir"));
  // Behind the end of honest objects, too.
  CHECK(check_bytes("objects.npy", bytes + attack).verdict == ArtifactVerdict::hostile);
  CHECK(check_bytes("objects.npy", bytes.substr(0, bytes.size() - 1)).verdict ==
        ArtifactVerdict::corrupt);
}

TEST_CASE("Heads of arrays that lie are refused") {
  const std::string good = format_bytes("f32.npy");
  const auto verdict = [](const std::string& bytes) { return check_bytes("a.npy", bytes).verdict; };
  CHECK(verdict(good) == ArtifactVerdict::ok);
  CHECK(verdict(with(good, "(3, 4)", "(3, 5)")) == ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "(3, 4)", "(2, 4)")) == ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "(3, 4)", "(3,-4)")) == ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "'<f4'", "'<f8'")) == ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "'<f4'", "'<q4'")) == ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "'shape'", "'shapx'")) == ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "False", "Falsx")) == ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "(3, 4), }", "(3, 4)+1}")) == ArtifactVerdict::corrupt);
  CHECK(verdict(good + "x") == ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "(3, 4), }          ", "(99999999999999999)")) ==
        ArtifactVerdict::corrupt);
  CHECK(verdict(with(good, "(3, 4), }                                 ",
                     "(4294967296, 4294967296, 4294967296, 1), }")) == ArtifactVerdict::corrupt);
  // Version 2's length of its head: 4 GiB of it.
  CHECK(verdict(with_word(format_bytes("version2.npy"), 8, 0xFFFFFFFF, 4)) ==
        ArtifactVerdict::corrupt);
  // Fields of nothing, very many of them.
  std::string nothing =
      "{'descr': [('a', '|S0', (99999999999,)), ('b', '|u1')], "
      "'fortran_order': False, 'shape': (1000,)}\n";
  nothing.insert(0, std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(nothing.size()) + '\0');
  CHECK(verdict(nothing + std::string(1000, '\1')) == ArtifactVerdict::ok);
  // Deeper than any literal.
  std::string deep = "\x93NUMPY\x01" + std::string(1, '\0') + "\x10\x27";
  deep += std::string(10000, '[');
  CHECK(verdict(deep) == ArtifactVerdict::corrupt);
}

TEST_CASE("Every cut of an array is caught, and every flip where there is a checksum") {
  check_cuts("f32.npy");
  // Up to the end of the first array it is whole.
  check_cuts("two.npy", 1, [](std::size_t size) { return size == 176; });
  check_cuts("records.npy");
  check_cuts("stored.npz");
  check_cuts("packed.npz");
  check_flips_of_zip("stored.npz");
  check_flips_of_zip("packed.npz");
}

TEST_CASE("A packed array that would unpack to more than it says is not unpacked") {
  // `plain` of the first entry, in both headers: 2 GiB from a few hundred bytes.
  std::string bomb = format_bytes("packed.npz");
  const std::size_t directory = bomb.find("PK\x01\x02");
  bomb = with_word(with_word(bomb, 22, 0x7FFFFFFF, 4), directory + 24, 0x7FFFFFFF, 4);
  CHECK(check_bytes("packed.npz", bomb).verdict == ArtifactVerdict::corrupt);
}

TEST_CASE("A PyTorch checkpoint stays one under any name, and arrays stay arrays") {
  CHECK(check_bytes("a.npz", bytes_of(data_file("state_dict.pt"))).format == "pytorch_zip");
  CHECK(check_bytes("model.pt", format_bytes("stored.npz")).format == "npz");
  CHECK(check_bytes("model.bin", format_bytes("good.gguf")).format == "gguf");
}

// ---- GGUF

TEST_CASE("GGUF files pass in versions 2 and 3 and both byte orders") {
  check_whole({"good.gguf", "gguf", 4, 128 + 5 + 512 + 6});
  check_whole({"version2.gguf", "gguf", 1, 5});
  check_whole({"big_endian.gguf", "gguf", 1, 5});
  check_whole({"aligned.gguf", "gguf", 2, 8});
  check_finding("version1.gguf", ArtifactVerdict::unverified, "version 1");
  check_finding("vocabulary.gguf", ArtifactVerdict::incomplete, "no tensor");
}

TEST_CASE("NaNs are found in GGUF's floats and in the scales of its quantised blocks") {
  check_finding("nan.gguf", ArtifactVerdict::ok, "5 values are NaN");
  check_finding("big_endian.gguf", ArtifactVerdict::ok, "1 values are NaN");
  check_finding("zeros.gguf", ArtifactVerdict::ok, "every tensor is all zero");
}

TEST_CASE("Scales are found wherever a block lies in the pieces that are read") {
  const TemporaryFolder folder;
  constexpr std::size_t kBlocks = 40000, kBlock = 34;  // several pieces
  std::string bytes(1 + kBlocks * kBlock, '\0');
  for (std::size_t i = 0; i < kBlocks; ++i) bytes[1 + i * kBlock + 7] = '\x7E';  // f16 NaN
  std::ofstream(folder.path() / "blocks", std::ios::binary) << bytes;
  const auto file = FileBytes::open(folder.path() / "blocks");
  REQUIRE(file);
  Region region{1, kBlocks * kBlock, ElementType::f16};
  region.blocks = {kBlock, {6, 0}, 1};
  CHECK(sweep(*file, {region}, {}, {})->at(0).values.not_finite == kBlocks);
  region.blocks.scales[0] = 8;
  CHECK(sweep(*file, {region}, {}, {})->at(0).values.not_finite == 0);
  CHECK(!sweep(*file, {region}, {}, {})->at(0).values.all_zero);
}

TEST_CASE("Every cut of a GGUF file is caught, but for the padding at its end") {
  check_cuts("good.gguf", 1, [](std::size_t size) { return size >= 1088 - 20; });
  check_cuts("aligned.gguf");
}

TEST_CASE("GGUF heads that lie are refused") {
  const std::string good = format_bytes("good.gguf");
  const auto verdict = [](const std::string& bytes) {
    return check_bytes("m.gguf", bytes).verdict;
  };
  CHECK(verdict(good + "x") == ArtifactVerdict::corrupt);
  CHECK(verdict(with_word(good, 4, 0, 4)) == ArtifactVerdict::corrupt);
  CHECK(verdict(with_word(good, 4, 9, 4)) == ArtifactVerdict::unverified);
  CHECK(verdict(with_word(good, 8, ~0ull, 8)) == ArtifactVerdict::corrupt);   // tensors
  CHECK(verdict(with_word(good, 16, ~0ull, 8)) == ArtifactVerdict::corrupt);  // metadata
  CHECK(verdict(with_word(good, 24, ~0ull, 8)) == ArtifactVerdict::corrupt);  // a key's length
  CHECK(verdict(with(good, "norm.weight", "blk.0.att.w")) == ArtifactVerdict::ok);
  const std::size_t norm = good.find("norm.weight") + 11;
  CHECK(verdict(with_word(good, norm, 5, 4)) == ArtifactVerdict::corrupt);           // rank
  CHECK(verdict(with_word(good, norm + 4, 6, 8)) == ArtifactVerdict::ok);            // in padding
  CHECK(verdict(with_word(good, norm + 4, 60, 8)) == ArtifactVerdict::corrupt);      // overlap
  CHECK(verdict(with_word(good, norm + 4, ~0ull, 8)) == ArtifactVerdict::corrupt);   // overflow
  CHECK(verdict(with_word(good, norm + 12, 8, 4)) == ArtifactVerdict::corrupt);      // Q8_0 of 5
  CHECK(verdict(with_word(good, norm + 12, 77, 4)) == ArtifactVerdict::unverified);  // no such type
  CHECK(verdict(with_word(good, norm + 16, 0, 8)) == ArtifactVerdict::corrupt);      // overlap
  CHECK(verdict(with_word(good, norm + 16, 1 << 20, 8)) == ArtifactVerdict::corrupt);  // a hole
  const std::size_t tokens = good.find("tokenizer.ggml.tokens") + 21;
  CHECK(verdict(with_word(good, tokens + 8, ~0ull, 8)) == ArtifactVerdict::corrupt);
  CHECK(verdict(with_word(good, tokens + 4, 9, 4)) == ArtifactVerdict::corrupt);  // lists of lists
  const std::string aligned = format_bytes("aligned.gguf");
  const std::size_t alignment = aligned.find("general.alignment") + 17;
  CHECK(verdict(with_word(aligned, alignment + 4, 0, 4)) == ArtifactVerdict::corrupt);
  CHECK(verdict(with_word(aligned, alignment + 4, 48, 4)) == ArtifactVerdict::corrupt);
}

// ---- TensorFlow

TEST_CASE("Event files pass with their events counted and their NaNs told") {
  check_whole({"events.out.tfevents.1700000000.box.1.0", "tf_events", 0, 0});
  check_finding("events.out.tfevents.1700000000.box.1.0", ArtifactVerdict::ok,
                "6 events, 10 values, the last of step 5");
  check_finding("events.out.tfevents.1700000001.nan.1.0", ArtifactVerdict::ok,
                "2 values are NaN or infinite, the first in loss");
  check_whole({"data.tfrecord", "tfrecord", 0, 0, Depth::checksums});
  check_finding("data.tfrecord", ArtifactVerdict::ok, "4 records");
}

TEST_CASE("A torn last event is told as a live or killed writer's, with what stands before it") {
  const std::string whole = format_bytes("events.out.tfevents.1700000000.box.1.0");
  const ArtifactReport torn =
      check_bytes("events.out.tfevents.1.box", whole.substr(0, whole.size() - 3));
  CHECK(torn.verdict == ArtifactVerdict::incomplete);
  CHECK(says(torn, "5 whole records stand before it, the last of step 4"));
}

TEST_CASE("Every flip in a record file is caught, and every cut but one between records") {
  CHECK(silent_flips("events.out.tfevents.1700000000.box.1.0").empty());
  CHECK(silent_flips("data.tfrecord", 7).empty());
  std::size_t whole = 0;
  const std::string bytes = format_bytes("events.out.tfevents.1700000000.box.1.0");
  for (std::size_t size = 1; size < bytes.size(); ++size)
    whole += check_bytes("a.tfevents.1", bytes.substr(0, size)).verdict == ArtifactVerdict::ok;
  CHECK(whole == 5);  // the ends of the five records before the last
}

TEST_CASE(
    "TensorFlow's checkpoints pass when all their shards are there and as they were written") {
  check_whole({"ckpt-1.index", "tf_bundle", 4, 32 + 4 + 1 + 32});
  check_whole({"sharded.index", "tf_bundle", 2, 32 + 12});
  check_finding("sharded.index", ArtifactVerdict::ok,
                "2 values are NaN or infinite, the first in b");
  // A shard is proven by the index next to it, and not without one.
  check_whole({"ckpt-1.data-00000-of-00001", "tf_shard", 4, 69});
  const ArtifactReport alone =
      check_bytes("ckpt-1.data-00000-of-00001", format_bytes("ckpt-1.data-00000-of-00001"));
  CHECK(alone.verdict == ArtifactVerdict::unverified);
  CHECK(says(alone, ".index"));
  CHECK(check_format("sharded.data-00001-of-00002").tensors == 1);
}

TEST_CASE("Damage in a TensorFlow checkpoint is found in its index and in every shard") {
  const TemporaryFolder folder;
  const std::vector<std::string> names{"sharded.index", "sharded.data-00000-of-00002",
                                       "sharded.data-00001-of-00002"};
  const auto restore = [&](const std::string& name) {
    fs::copy_file(format_file(name), folder.path() / name, fs::copy_options::overwrite_existing);
  };
  const auto replace = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder.path() / name, std::ios::binary) << bytes;
  };
  const auto verdict = [&] {
    return check_artifact(folder.path() / "sharded.index", {}, {}).value().verdict;
  };
  for (const std::string& name : names) restore(name);
  REQUIRE(verdict() == ArtifactVerdict::ok);
  for (const std::string& name : names) {
    const std::string whole = format_bytes(name);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ 4);
      replace(name, flipped);
      INFO(name << " flipped at " << at);
      // The footer of an index is padded to a fixed size: those zeros mean nothing.
      const bool padding =
          name.ends_with(".index") && at + 48 > whole.size() + 3 && whole[at] == '\0';
      if (!padding) CHECK(verdict() != ArtifactVerdict::ok);
      replace(name, whole.substr(0, at));
      CHECK(verdict() != ArtifactVerdict::ok);
    }
    fs::remove(folder.path() / name);
    if (name != names[0]) CHECK(verdict() == ArtifactVerdict::incomplete);
    restore(name);
  }
  CHECK(verdict() == ArtifactVerdict::ok);
}

TEST_CASE("An .index of another program is told to be one") {
  CHECK(check_bytes("faiss.index", "IxFI and more").verdict == ArtifactVerdict::unverified);
}

// ---- ONNX

TEST_CASE("ONNX models pass with their initializers counted and held to their shapes") {
  check_whole({"good.onnx", "onnx", 6, 12 + 3 + 4 + 2 + 2 + 1});
  check_whole({"nested.onnx", "onnx", 3, 36});
  check_whole({"torch.onnx", "onnx", 2, 36});
  check_whole({"outside.onnx", "onnx", 2, 24});
  check_finding("nan.onnx", ArtifactVerdict::ok, "3 values are NaN or infinite");
  check_finding("outside.onnx", ArtifactVerdict::ok,
                "2 values are NaN or infinite, the first in tensor v");
}

TEST_CASE(
    "Tensors of an ONNX model in another file are missed, measured and not looked for elsewhere") {
  const std::string model = format_bytes("outside.onnx");
  const ArtifactReport alone = check_bytes("outside.onnx", model);
  CHECK(alone.verdict == ArtifactVerdict::unverified);
  CHECK(says(alone, "2 tensors are in outside.onnx.data"));
  const ArtifactReport escape =
      check_bytes("outside.onnx", with(model, "outside.onnx.data", "../../../etc/host"));
  CHECK(escape.verdict == ArtifactVerdict::hostile);
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "outside.onnx", std::ios::binary) << model;
  std::ofstream(folder.path() / "outside.onnx.data", std::ios::binary) << std::string(95, '\1');
  CHECK(check_artifact(folder.path() / "outside.onnx", {}, {}).value().verdict ==
        ArtifactVerdict::corrupt);
}

TEST_CASE("Cut, emptied and lying ONNX models are refused") {
  // A message may end behind any of its fields; what an honest one ends with is optional only
  // behind its operator sets.
  check_cuts("good.onnx");
  check_cuts("nested.onnx");
  CHECK(check_bytes("m.onnx", "\x08\x07").verdict == ArtifactVerdict::incomplete);
  CHECK(check_bytes("m.onnx", "no protobuf at all").verdict == ArtifactVerdict::corrupt);
  std::string good = format_bytes("good.onnx");
  const std::size_t name = good.find("B\x01w");  // behind it: raw_data, field 9, 48 bytes
  REQUIRE(name != std::string::npos);
  REQUIRE(good.substr(name + 3, 2) == "J\x30");
  good[name - 5] = 4;  // a dimension
  CHECK(check_bytes("m.onnx", good).verdict == ArtifactVerdict::corrupt);
}

// ---- HDF5 and Keras

TEST_CASE("HDF5 files pass with every dataset read, packed and checked ones too") {
  check_whole({"good.h5", "hdf5", 7, 32 + 4 + 6 + 6 + 400 + 1 + 2});
  check_whole({"latest.h5", "hdf5", 2, 532});
  check_whole({"userblock.h5", "hdf5", 1, 12});
  check_whole({"good.keras", "keras", 2, 36});
  check_whole({"large.h5", "hdf5", 1, 2200000});
  check_finding("large.h5", ArtifactVerdict::ok, "3 values are NaN or infinite, the first in w");
  check_finding("nan.h5", ArtifactVerdict::ok, "102 values are NaN or infinite");
  check_finding("nan.h5", ArtifactVerdict::ok, "1 of 3 tensors are all zero");
  check_finding("links.h5", ArtifactVerdict::ok, "1 links lead to other files");
}

TEST_CASE("What an HDF5 file only promises is not taken for values") {
  check_finding("never_written.h5", ArtifactVerdict::incomplete,
                "ghost was made and never written");
  check_finding("half_written.h5", ArtifactVerdict::incomplete, "6 of 10 chunks of half");
  check_finding("virtual.h5", ArtifactVerdict::unverified, "in other files");
  check_finding("lambda.keras", ArtifactVerdict::unverified, "Lambda");
}

TEST_CASE("Cut and changed HDF5 files are refused, and what breaks libhdf5 does not break us") {
  check_cuts("nan.h5", 97);
  check_cuts("latest.h5", 61);
  check_cuts("good.keras", 101);
  CHECK(check_bytes("m.h5", "no signature").verdict == ArtifactVerdict::corrupt);
  // fletcher32 of the chunks, checksums of the metadata.
  std::string flipped = format_bytes("latest.h5");
  const std::size_t value = flipped.rfind(std::string("\0\0\x80\x43", 4));  // 256.0
  REQUIRE(value != std::string::npos);
  flipped[value + 1] = 1;
  CHECK(check_bytes("latest.h5", flipped).verdict == ArtifactVerdict::corrupt);
  // Its writer is at work.
  std::string open = format_bytes("latest.h5");
  REQUIRE(open[8] == 3);
  open[11] = 1;
  CHECK(check_bytes("latest.h5", open).verdict == ArtifactVerdict::incomplete);
  // Seeded damage anywhere: a verdict each time.
  const std::string good = format_bytes("nan.h5");
  std::uint64_t dice = 7;
  for (int round = 0; round < 60; ++round) {
    std::string damaged = good;
    for (int i = 0; i < 8; ++i) {
      dice = dice * 6364136223846793005ull + 1442695040888963407ull;
      damaged[dice >> 33 & 2047] = static_cast<char>(dice >> 24);
    }
    const ArtifactReport report = check_bytes("nan.h5", damaged);
    CHECK(!report.findings.empty());
  }
}

TEST_CASE("A check of an HDF5 file ends when it is stopped") {
  std::stop_source stop;
  stop.request_stop();
  const auto report = check_artifact(format_file("good.h5"), {}, stop.get_token());
  REQUIRE(!report.ok());
  CHECK(report.error().code == Code::cancelled);
}

// ---- all

TEST_CASE("Every depth is reached and none is claimed that was not") {
  for (const std::string name : {"f32.npy", "stored.npz", "packed.npz", "good.gguf", "good.onnx",
                                 "ckpt-1.index", "good.h5", "good.keras", "data.tfrecord"}) {
    INFO(name);
    for (const Depth depth : {Depth::structure, Depth::checksums, Depth::values}) {
      const ArtifactReport report = check_format(name, depth);
      CHECK(report.verdict == ArtifactVerdict::ok);
      CHECK(report.depth <= depth);
      CHECK(report.depth >= Depth::structure);
    }
  }
}

}  // namespace rgt
