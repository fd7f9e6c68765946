// SPDX-License-Identifier: MIT
// The handbook as it is shipped: whole, linked, and every id that anybody cites is there.
#include <fstream>
#include <iterator>
#include <set>

#include <catch2/catch.hpp>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/handbook/handbook.h"
#include "core/triage/signatures.h"
#include "tests/temporary_folder.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Handbook> handbook() {
  auto loaded = Handbook::load({});
  INFO((loaded.ok() ? "" : loaded.error().message));
  REQUIRE(loaded.ok());
  return std::move(*loaded);
}

bool is_entry(const Section& section) { return section.id[0] >= 'A' && section.id[0] <= 'Z'; }

}  // namespace

TEST_CASE("Every entry has its four parts, and U1 to U43 are all there") {
  const auto book = handbook();
  for (int i = 1; i <= 43; ++i) CHECK(book->find_entry("U" + std::to_string(i)) != nullptr);
  CHECK(book->find_entry("u7") == book->find_entry("U7"));
  CHECK(book->find_entry("U99") == nullptr);
  for (const Section& section : book->sections()) {
    if (!is_entry(section)) continue;
    INFO(section.id);
    for (const char* part : {"**Cause:**", "**Fix:**", "**Check:**", "**Source:**"})
      CHECK(section.text.find(part) != std::string::npos);
    CHECK_FALSE(section.fix.empty());
  }
}

TEST_CASE("Ids cited by profiles and by the triage's table exist") {
  const auto book = handbook();
  for (const Profile& profile : book->profiles()) {
    for (const std::string& id : profile.entries) CHECK(book->find_entry(id) != nullptr);
  }
  std::size_t cited = 0;
  for (const Signature& row : SignatureTable::embedded().rows()) {
    for (const std::string& id : row.references) {
      INFO(row.id << " cites " << id);
      CHECK(book->find_entry(id) != nullptr);
      ++cited;
    }
  }
  CHECK(cited > 50);
}

TEST_CASE("Relative links in the handbook lead to files") {
  const fs::path root = RGT_SOURCE_DIR;
  std::size_t links = 0;
  const auto book = handbook();
  for (const Document& document : book->documents()) {
    for (std::size_t at = document.text.find("]("); at != std::string::npos;
         at = document.text.find("](", at + 2)) {
      std::string target = document.text.substr(at + 2, document.text.find(')', at) - at - 2);
      target = target.substr(0, target.find('#'));
      if (target.empty() || target.find("://") != std::string::npos) continue;
      INFO(document.path << " -> " << target);
      CHECK(fs::exists((root / document.path).parent_path() / target));
      ++links;
    }
  }
  CHECK(links > 3);
}

TEST_CASE("SKILL.md keeps the rules of the Agent Skills format") {
  const std::string text =
      read_file(fs::path(RGT_SOURCE_DIR) / "skill/remote-gpu-trainer/SKILL.md", 1u << 20).value();
  CHECK(text.starts_with("---\nname: remote-gpu-trainer\n"));
  const std::size_t at = text.find("description: \"");
  const std::size_t end = text.find("\"\n", at + 14);
  REQUIRE(end != std::string::npos);
  CHECK(end - at - 14 <= 1024);
  CHECK(std::count(text.begin(), text.end(), '\n') < 400);
  const std::string front = text.substr(0, text.find("\n---\n", 4));
  for (const std::string_view line : split(front, '\n')) {
    if (line.empty() || line[0] == ' ' || line == "---") continue;
    const std::string key(line.substr(0, line.find(':')));
    CHECK((std::set<std::string>{"name", "description", "license", "compatibility", "metadata",
                                 "allowed-tools"}
               .contains(key)));
  }
}

TEST_CASE("Documents and sections are read by their URIs, and nothing else is") {
  const auto book = handbook();
  CHECK(book->read("rgt://handbook/references/gotchas_universal.md#U7")->find("inodes") !=
        std::string::npos);
  CHECK(book->read("rgt://handbook/skill/remote-gpu-trainer/SKILL.md")->find("Iron Law") !=
        std::string::npos);
  // What SKILL.md links to is found from where it stands.
  CHECK(book->read("rgt://handbook/skill/remote-gpu-trainer/profiles/autodl.md").value() ==
        book->read("rgt://handbook/profiles/autodl.md").value());
  for (const char* bad : {"", "rgt://handbook/../README.md", "file:///etc/passwd",
                          "rgt://handbook/references/gotchas_universal.md#U99"}) {
    CHECK(book->read(bad).error().code == Code::not_found);
  }
}

TEST_CASE("A folder may stand in for the built-in handbook, and its mistakes are named") {
  const TemporaryFolder folder;
  for (const char* part : {"skill", "profiles", "references"})
    fs::copy(fs::path(RGT_SOURCE_DIR) / part, folder.path() / part, fs::copy_options::recursive);
  CHECK(Handbook::load(folder.path()).ok());
  std::ofstream(folder.path() / "references" / "more.md")
      << "# More\n\n### U7 \xE2\x80\x94 again\n\n**Cause:** x\n";
  CHECK(Handbook::load(folder.path()).error().message.find("U7 stands twice") != std::string::npos);
  fs::remove(folder.path() / "references" / "more.md");
  std::ofstream(folder.path() / "profiles" / "broken.md") << "---\ntitle: x\n---\n";
  CHECK(Handbook::load(folder.path()).error().message.find("broken") != std::string::npos);
  CHECK(Handbook::load("/no/such/folder").error().code == Code::not_found);
}

}  // namespace rgt
