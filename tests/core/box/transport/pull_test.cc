// SPDX-License-Identifier: MIT
#include <fstream>
#include <iterator>
#include <thread>

#include <catch2/catch.hpp>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "tests/boxes/loopback_sshd.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

struct Rig {
  LoopbackSshd sshd = {};
  TemporaryFolder folder = {};
  SystemProcessRunner processes = {};
  std::unique_ptr<Boxes> boxes = make_boxes(sshd.settings(), processes);
  fs::path far = folder.path() / "far side";
  fs::path near = folder.path() / "near side";

  void put(const std::string& path, const std::string& bytes) {
    fs::create_directories((far / path).parent_path());
    std::ofstream(far / path, std::ios::binary) << bytes;
  }
  Result<PullReport> pull(const std::string& box, std::vector<std::string> paths,
                          bool by_checksum = false, std::stop_token stop = {}) {
    PullRequest request;
    request.remote_root = far.string();
    request.paths = std::move(paths);
    request.local_root = near;
    request.by_checksum = by_checksum;
    return boxes->transfer(box).value()->pull(request, stop);
  }
  std::string got(const std::string& path) { return read_file(near / path, 1u << 30).value(); }
};

}  // namespace

TEST_CASE(
    "A pull brings exactly the named files, whatever they are called, from both kinds of box") {
  const std::string box = GENERATE(std::string("local"), std::string(LoopbackSshd::kAlias));
  Rig rig;
  const std::vector<std::string> names{"plain.pt",
                                       "with space.pt",
                                       "-dash",
                                       "quote's \"two\".pt",
                                       "new\nline",
                                       "$(touch x)",
                                       "deep/er/m.safetensors",
                                       "*",
                                       "ünïcode",
                                       "back\\slash"};
  for (const std::string& name : names) rig.put(name, "bytes of " + name);
  rig.put("not-wanted", "x");
  const auto report = rig.pull(box, names);
  INFO((report.ok() ? "" : report.error().message));
  REQUIRE(report);
  for (const std::string& name : names) CHECK(rig.got(name) == "bytes of " + name);
  CHECK_FALSE(fs::exists(rig.near / "not-wanted"));
  CHECK(report->files == names.size());
}

TEST_CASE("A file that is missing on the box is simply absent afterwards") {
  Rig rig;
  rig.put("there", "x");
  REQUIRE(rig.pull(LoopbackSshd::kAlias, {"there", "gone"}));
  CHECK(rig.got("there") == "x");
  CHECK_FALSE(fs::exists(rig.near / "gone"));
}

TEST_CASE(
    "A local file with the right size and time but other bytes is replaced when contents are "
    "compared") {
  Rig rig;
  rig.put("m.pt", "right bytes");
  REQUIRE(rig.pull("local", {"m.pt"}));
  const auto time = fs::last_write_time(rig.near / "m.pt");
  std::ofstream(rig.near / "m.pt") << "wrong bytes";
  fs::last_write_time(rig.near / "m.pt", time);
  REQUIRE(rig.pull(LoopbackSshd::kAlias, {"m.pt"}, true));
  CHECK(rig.got("m.pt") == "right bytes");
}

TEST_CASE("Paths that would leave the folder, and links that would lead out of it, are refused") {
  Rig rig;
  rig.put("a/m.pt", "x");
  for (const char* bad : {"../etc/passwd", "/etc/passwd", "a/../../x", ""}) {
    CHECK(rig.pull("local", {bad}).error().code == Code::refused);
  }
  fs::create_directories(rig.near);
  fs::create_directory_symlink(rig.folder.path(), rig.near / "a");
  CHECK(rig.pull("local", {"a/m.pt"}).error().code == Code::refused);
  CHECK_FALSE(fs::exists(rig.folder.path() / "m.pt"));
}

TEST_CASE("A pull that was cut goes on where it stopped") {
  Rig rig;
  std::string bytes(64u << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); i += 97) bytes[i] = static_cast<char>(i >> 7);
  rig.put("big.pt", bytes);
  std::stop_source source;
  std::jthread cutter([&] {
    // Cut as soon as something of it has arrived.
    while (!source.stop_requested()) {
      std::error_code ignored;
      for (const auto& entry : fs::recursive_directory_iterator(rig.near, ignored)) {
        if (entry.is_regular_file(ignored) && entry.file_size(ignored) > (1u << 20))
          source.request_stop();
      }
    }
  });
  const auto cut = rig.pull(LoopbackSshd::kAlias, {"big.pt"}, false, source.get_token());
  source.request_stop();
  cutter.join();
  const auto whole = rig.pull(LoopbackSshd::kAlias, {"big.pt"});
  REQUIRE(whole);
  CHECK(sha256_hex(rig.got("big.pt")) == sha256_hex(bytes));
  if (!cut) CHECK(whole->bytes_received < bytes.size());
}

TEST_CASE("A box that is not there is unreachable, and the pull can be called again") {
  Rig rig;
  rig.put("m.pt", "x");
  rig.sshd.stop();
  const auto gone = rig.pull(LoopbackSshd::kAlias, {"m.pt"});
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Code::unreachable);
  CHECK(gone.error().next.find("goes on where it was cut") != std::string::npos);
}

TEST_CASE("A box without rsync is said to lack it") {
  Rig rig;
  rig.put("m.pt", "x");
  const std::string key = rig.sshd.read("authorized_keys");
  rig.sshd.write("authorized_keys",
                 "command=\"PATH=/nowhere /bin/sh -c \\\"$SSH_ORIGINAL_COMMAND\\\"\" " + key);
  const auto report = rig.pull(LoopbackSshd::kAlias, {"m.pt"});
  REQUIRE_FALSE(report);
  CHECK(report.error().code == Code::missing_tool);
  CHECK(report.error().next.find("apt-get install -y rsync") != std::string::npos);
}

}  // namespace rgt
