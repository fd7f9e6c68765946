// SPDX-License-Identifier: MIT
#include "core/artifact/bundle.h"

#include <fstream>

#include <catch2/catch.hpp>

#include "core/base/digest.h"
#include "tests/temporary_folder.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// A folder with two proven files and its list.
struct Folder {
  TemporaryFolder temporary = {};
  fs::path path = temporary.path() / "run";
  Bundle bundle = {};

  Folder() {
    bundle.run = "sweep";
    bundle.tool = "rgt test";
    bundle.made = "2026-11-28T00:00:00Z";
    bundle.manifest_digest = std::string(64, 'a');
    bundle.cells = {"c1", "c2"};
    add("c1/metrics.json", "{\"loss\": 1}");
    add("c2/steps/log.jsonl", "{\"loss\": 2}\n");
    write();
  }
  void put(const std::string& name, const std::string& bytes) {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
  void add(const std::string& name, const std::string& bytes) {
    put(name, bytes);
    bundle.files.push_back({name, bytes.size(), sha256_hex(bytes), "json", "json/1", "values"});
  }
  void write() { put(kBundleName, bundle_text(bundle)); }
  BundleCheck check() {
    auto done = check_bundle(path, {});
    INFO((done ? "" : done.error().message));
    REQUIRE(done);
    return std::move(*done);
  }
  bool proven() {
    const BundleCheck done = check();
    return !done.reports.empty() &&
           std::all_of(done.reports.begin(), done.reports.end(), [](const ArtifactReport& report) {
             return report.verdict == ArtifactVerdict::ok;
           });
  }
};

std::string listing(const std::string& files) {
  return "{\"format\":\"rgt-bundle\",\"version\":1,\"run\":\"r\",\"files\":[" + files + "]}";
}
std::string one(const std::string& path) {
  return "{\"path\":\"" + path + "\",\"size\":1,\"sha256\":\"" + std::string(64, 'b') + "\"}";
}

}  // namespace

TEST_CASE("A bundle that was handed on proves itself, and a check of it writes nothing") {
  Folder folder;
  folder.add("c2/name with \xff byte.json", "{\"a\": 3}");
  folder.write();
  fs::rename(folder.path, folder.temporary.path() / "elsewhere");
  folder.path = folder.temporary.path() / "elsewhere";
  folder.put("c1/notes.txt", "mine");
  std::set<std::string> before;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path))
    before.insert(entry.path());
  CHECK(folder.proven());
  CHECK(folder.check().bundle.run == "sweep");
  CHECK(folder.check().unlisted == std::vector<std::string>{"c1/notes.txt"});
  std::set<std::string> after;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path))
    after.insert(entry.path());
  CHECK(after == before);
}

TEST_CASE("A bundle with a changed, missing, longer or unreadable file is not proven") {
  Folder folder;
  SECTION("a changed byte, the same size") { folder.put("c1/metrics.json", "{\"loss\": 2}"); }
  SECTION("a file that is gone") { fs::remove(folder.path / "c2/steps/log.jsonl"); }
  SECTION("a file that grew") { folder.put("c1/metrics.json", "{\"loss\": 1, \"x\": 2}"); }
  SECTION("a folder in its place") {
    fs::remove(folder.path / "c1/metrics.json");
    fs::create_directories(folder.path / "c1/metrics.json");
  }
  SECTION("bytes as listed that do not load") {
    folder.add("c2/broken.json", "{\"loss\": ");
    folder.write();
  }
  SECTION("a list without files") {
    folder.bundle.files.clear();
    folder.write();
  }
  CHECK_FALSE(folder.proven());
}

TEST_CASE("A link in a bundle is not followed, whatever it leads to") {
  Folder folder;
  fs::create_directories(folder.temporary.path() / "outside/steps");
  std::ofstream(folder.temporary.path() / "outside/steps/log.jsonl") << "{\"loss\": 2}\n";
  std::error_code ignored;
  SECTION("the file") {
    fs::remove(folder.path / "c2/steps/log.jsonl");
    fs::create_symlink(folder.temporary.path() / "outside/steps/log.jsonl",
                       folder.path / "c2/steps/log.jsonl");
  }
  SECTION("a folder on its way") {
    fs::remove_all(folder.path / "c2/steps");
    fs::create_directory_symlink(folder.temporary.path() / "outside/steps",
                                 folder.path / "c2/steps");
  }
  const BundleCheck done = folder.check();
  CHECK(done.reports[0].verdict == ArtifactVerdict::ok);
  CHECK(done.reports[1].verdict == ArtifactVerdict::hostile);
  CHECK(done.reports[1].findings.at(0).what.find("symbolic link") != std::string::npos);

  fs::rename(folder.path / kBundleName, folder.temporary.path() / "list");
  fs::create_symlink(folder.temporary.path() / "list", folder.path / kBundleName);
  CHECK(check_bundle(folder.path, {}).error().code == Code::refused);
}

TEST_CASE("A list that leads out of its folder, or contradicts itself, is refused") {
  for (const std::string path : {"../x", "/etc/passwd", "a/../../x", "a//b", "./a", "a/.", "",
                                 "a\\u0000b", "rgt-bundle.json"}) {
    INFO(path);
    const auto bundle = parse_bundle(listing(one(path)));
    REQUIRE_FALSE(bundle);
    CHECK(bundle.error().code == Code::refused);
  }
  CHECK(parse_bundle(listing(one("a/b") + "," + one("a/b"))).error().code == Code::refused);
  CHECK(parse_bundle(listing(one("a/b") + "," + one("a"))).error().code == Code::refused);
  CHECK(parse_bundle(listing(one(std::string(5000, 'x')))).error().code == Code::refused);
  CHECK(parse_bundle(listing("{\"path_base64\":\"Li4veA==\",\"size\":1,\"sha256\":\"" +
                             std::string(64, 'b') + "\"}"))
            .error()
            .code == Code::refused);
  CHECK(parse_bundle(listing(one("a/b") + "," + one("a/c"))).ok());
}

TEST_CASE("What is no list of a bundle is said to be none") {
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"format\":\"x\"}"),
        listing("1"), listing("{}"), listing("{\"path\":\"a\"}"),
        listing("{\"path\":\"a\",\"size\":-1,\"sha256\":\"" + std::string(64, 'b') + "\"}"),
        listing("{\"path\":\"a\",\"size\":1e300,\"sha256\":\"" + std::string(64, 'b') + "\"}"),
        listing("{\"path\":\"a\",\"size\":1,\"sha256\":\"short\"}"), std::string(300000, '[')}) {
    INFO(text.substr(0, 200));
    const auto bundle = parse_bundle(text);
    REQUIRE_FALSE(bundle);
    CHECK(bundle.error().code == Code::corrupt);
  }
  const TemporaryFolder empty;
  CHECK(check_bundle(empty.path(), {}).error().code == Code::not_found);
}

TEST_CASE("Huge sizes in a list cost nothing, and too many files are a limit") {
  Folder folder;
  folder.bundle.files[0].size = UINT64_MAX;
  folder.write();
  CHECK(folder.check().reports[0].verdict == ArtifactVerdict::incomplete);
  std::string many = one("f0");
  for (int i = 1; i <= 100'000; ++i) many += "," + one("f" + std::to_string(i));
  CHECK(parse_bundle(listing(many)).error().code == Code::limit);
}

}  // namespace rgt
