// SPDX-License-Identifier: MIT
#include "core/base/files.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/file_lock.h"
#include "tests/temporary_folder.h"

namespace rgt {
namespace fs = std::filesystem;

TEST_CASE("An atomic write replaces the whole file and leaves no temporary behind") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "deep" / "note";
  REQUIRE(write_file_atomically(path, "first"));
  REQUIRE(write_file_atomically(path, "second"));
  CHECK(read_file(path, 100).value() == "second");
  CHECK(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator{}) == 1);
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("Readers never see half a file while writers replace it") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "state";
  const std::string a(40000, 'a');
  const std::string b(40000, 'b');
  REQUIRE(write_file_atomically(path, a));
  std::jthread writer([&](std::stop_token stop) {
    for (bool flip = false; !stop.stop_requested(); flip = !flip) {
      (void)write_file_atomically(path, flip ? a : b);
    }
  });
  for (int i = 0; i < 200; ++i) {
    const auto text = read_file(path, 100000);
    REQUIRE(text);
    CHECK((*text == a || *text == b));
  }
}

TEST_CASE("A file over the limit, a folder and a missing file are told apart") {
  const TemporaryFolder folder;
  REQUIRE(write_file_atomically(folder.path() / "big", std::string(101, 'x')));
  CHECK(read_file(folder.path() / "big", 100).error().code == Code::limit);
  CHECK(read_file(folder.path() / "big", 101).ok());
  CHECK(read_file(folder.path() / "none", 100).error().code == Code::not_found);
  CHECK(read_file(folder.path(), 100).error().message.find("is a folder") != std::string::npos);
}

TEST_CASE("A path below a file is an error that names it") {
  const TemporaryFolder folder;
  REQUIRE(write_file_atomically(folder.path() / "file", "x"));
  const auto made = make_directories(folder.path() / "file" / "below");
  REQUIRE_FALSE(made);
  CHECK(made.error().message.find("file") != std::string::npos);
}

TEST_CASE("SHA-256 of a file equals that of its bytes, and stops when asked") {
  const TemporaryFolder folder;
  const std::string bytes(3000000, 'q');
  REQUIRE(write_file_atomically(folder.path() / "f", bytes));
  CHECK(sha256_file(folder.path() / "f", {}).value() == sha256_hex(bytes));
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::stop_source source;
  source.request_stop();
  CHECK(sha256_file(folder.path() / "f", source.get_token()).error().code == Code::cancelled);
}

TEST_CASE("A lock is held by one at a time and freed with its owner") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "run.lock";
  {
    const auto first = FileLock::try_take(path);
    REQUIRE(first);
    CHECK(FileLock::try_take(path).error().code == Code::conflict);
  }
  CHECK(FileLock::try_take(path).ok());
}

TEST_CASE("Free space is told for a folder that does not exist yet") {
  const TemporaryFolder folder;
  const auto space = free_space(folder.path() / "not" / "yet");
  REQUIRE(space);
  CHECK(space->bytes > 0);
}

TEST_CASE("Durations are said in two units at most") {
  CHECK(to_words(Seconds(0)) == "0 s");
  CHECK(to_words(Seconds(59)) == "59 s");
  CHECK(to_words(Seconds(3600)) == "1 h");
  CHECK(to_words(Seconds(11520)) == "3 h 12 min");
  CHECK(to_words(Seconds(90000)) == "1 d 1 h");
  CHECK(to_iso8601(from_unix(1795511585)) == "2026-11-24T09:13:05Z");
}

}  // namespace rgt
