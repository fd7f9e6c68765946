// SPDX-License-Identifier: MIT
#include "core/box/survey.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "tests/core/box/script_shell.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

bool holds(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

void put_tool(const Room& room, const std::string& name, const std::string& script) {
  spill(room.root / "bin" / name, "#!/bin/sh\n" + script);
  fs::permissions(room.root / "bin" / name, fs::perms::owner_all);
}

const Hog* hog_at(const Survey& survey, const fs::path& path) {
  for (const Hog& hog : survey.hogs) {
    if (hog.path == path) return &hog;
  }
  return nullptr;
}

void make_file(const fs::path& file, std::uint64_t mib) {
  fs::create_directories(file.parent_path());
  std::ofstream stream(file, std::ios::binary);
  const std::string block(1 << 20, 'x');  // written, not a hole: du counts blocks
  for (std::uint64_t i = 0; i < mib; ++i) stream << block;
}

}  // namespace

TEST_CASE("a survey measures this machine under every sh") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    const auto found =
        survey(room.shell, {{room.root, "/dev/shm", room.root / "not there/at all"}}, {});
    INFO((found ? "" : found.error().message));
    REQUIRE(found.ok());
    CHECK(found->box_time > 1700000000);
    CHECK(found->boot_id.size() == 36);
    CHECK_FALSE(found->os.empty());
    CHECK(found->kernel.rfind("Linux ", 0) == 0);
    CHECK(found->home == room.root);
    CHECK(found->cpus_visible > 0);
    CHECK(found->memory_total > 1u << 20);
    REQUIRE(found->mounts.size() == 3);
    CHECK(found->mounts[0].path == room.root);
    CHECK_FALSE(found->mounts[0].mount_point.empty());
    CHECK(found->mounts[0].bytes_total > 0);
    CHECK(found->mounts[0].writable);
    CHECK(found->mounts[2].mount_point.empty());
    CHECK(found->mounts[2].bytes_total == found->mounts[0].bytes_total);
    CHECK(holds(found->tools_present, "base64"));
    CHECK(found->tools_present.size() + found->tools_missing.size() == 9);
  }
}

TEST_CASE("missing tools are named") {
  Room room;
  ScriptShell bare(room.interpreter, room.path_without({"tmux", "rsync", "python3"}), room.root);
  const auto found = survey(bare, {}, {});
  REQUIRE(found.ok());
  CHECK(holds(found->tools_missing, "tmux"));
  CHECK(holds(found->tools_missing, "rsync"));
  CHECK(holds(found->tools_present, "setsid"));
}

TEST_CASE("a place that cannot be written is said to be so") {
  Room room;
  const auto found = survey(room.shell, {{"/proc/sys"}}, {});
  REQUIRE(found.ok());
  CHECK_FALSE(found->mounts.at(0).writable);
}

TEST_CASE(
    "a cache that was moved behind a symlink is weighed where its bytes lie, under every sh") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    make_file(room.root / "data disk/hf/model.bin", 120);
    fs::create_directories(room.root / ".cache");
    fs::create_directory_symlink(room.root / "data disk/hf", room.root / ".cache/huggingface");
    make_file(room.root / "small/log.txt", 1);
    const auto found = survey(room.shell, {{""}}, {});
    REQUIRE(found.ok());
    CHECK(found->hogs_whole);
    const Hog* cache = hog_at(*found, room.root / ".cache/huggingface");
    REQUIRE(cache != nullptr);
    CHECK(cache->target == (room.root / "data disk/hf"));
    CHECK(cache->bytes >= 120u << 20);
    CHECK_FALSE(cache->mount_point.empty());
    CHECK(hog_at(*found, room.root / "data disk") != nullptr);
    CHECK(hog_at(*found, room.root / "small") == nullptr);
    for (std::size_t i = 1; i < found->hogs.size(); ++i)
      CHECK(found->hogs[i - 1].bytes >= found->hogs[i].bytes);
  }
}

TEST_CASE("an endless tree costs its own turn only, and is named as too large to weigh") {
  Room room;
  make_file(room.root / "zz/model.bin", 101);
  fs::create_directories(room.root / "aa-endless");
  put_tool(room, "du", "case $* in *aa-endless) exec sleep 60 ;; esac\nexec /usr/bin/du \"$@\"\n");
  SurveyRequest request;
  request.paths = {""};
  request.hog_seconds = 20;
  const auto found = survey(room.shell, request, {});
  REQUIRE(found.ok());
  CHECK_FALSE(found->hogs_whole);
  const Hog* endless = hog_at(*found, room.root / "aa-endless");
  REQUIRE(endless != nullptr);
  CHECK_FALSE(endless->whole);
  CHECK(hog_at(*found, room.root / "zz") != nullptr);
  CHECK(found->box_seconds < 20);
}

TEST_CASE("a platform is known by the names of its variables, and their values stay on the box") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    put_tool(room, "env", "echo RUNPOD_POD_ID=abc123\necho RUNPOD_DC_ID=EU-1\necho TOKEN=secret\n");
    const auto found = survey(room.shell, {}, {});
    REQUIRE(found.ok());
    const PlatformGuess guess = recognise_platform(found->signs);
    CHECK(guess.platform == "runpod");
    CHECK(guess.sureness == Sureness::confirmed);
    for (const PlatformSign& sign : found->signs)
      CHECK(sign.sign.find("abc123") == std::string::npos);
  }
}

TEST_CASE("a mirror is tried with curl, and its failure is an answer") {
  Room room;
  put_tool(room, "curl",
           "case $* in *good*) printf ' 206 2500000 4194304' ;; *) printf ' 000 0 0'; exit 6 ;; "
           "esac\n");
  SurveyRequest request;
  request.hog_seconds = 0;
  request.mirrors = {"https://good.example/x", "https://bad.example/x"};
  request.paths = {"/dev/shm"};
  const auto found = survey(room.shell, request, {});
  INFO((found ? "" : found.error().message));
  REQUIRE(found.ok());
  CHECK(found->mounts.at(0).path == "/dev/shm");
  REQUIRE(found->mirrors.size() == 2);
  CHECK(found->mirrors[0].status == 206);
  CHECK(found->mirrors[0].bytes_per_second == 2500000);
  CHECK(found->mirrors[1].status == 0);
  CHECK_FALSE(found->mirrors[1].proxied);
}

TEST_CASE("only something named like a Python is started to ask for torch") {
  Room room;
  for (const char* python : {"/sbin/reboot", "sh", "python3;reboot", "-python", "python-config",
                             "/tmp/python3/x", "mypython"}) {
    INFO(python);
    SurveyRequest request;
    request.python = python;
    const auto refused = survey(room.shell, request, {});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Code::invalid_argument);
  }
}

TEST_CASE("a box without grep, dmesg, du and curl is still surveyed") {
  Room room;
  ScriptShell bare(room.interpreter,
                   room.path_without({"grep", "dmesg", "du", "curl", "env", "find"}), room.root);
  SurveyRequest request;
  request.paths = {""};
  request.mirrors = {"https://good.example/x"};
  const auto found = survey(bare, request, {});
  INFO((found ? "" : found.error().message));
  REQUIRE(found.ok());
  CHECK(found->xid_source == "none");
  CHECK(found->mirrors.empty());
}

}  // namespace rgt::test
