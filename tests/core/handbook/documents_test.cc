// SPDX-License-Identifier: MIT
// The handbook as it is shipped: whole, linked, and every id that anybody cites is there.
#include <fstream>
#include <iterator>
#include <set>

#include <catch2/catch.hpp>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/handbook/handbook.h"
#include "core/profile/frontmatter.h"
#include "core/triage/signatures.h"
#include "server/mcp/schema.h"
#include "tests/core/handbook/shipped.h"
#include "tests/temporary_folder.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;
// An estimate on the safe side: a token per 3.5 bytes of ASCII, one per other character.
std::size_t tokens(std::string_view text) {
  std::size_t ascii = 0, others = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    ascii += byte < 0x80;
    others += byte >= 0xC0;
  }
  return ascii * 10 / 35 + others;
}

bool is_entry(const Section& section) { return section.id[0] >= 'A' && section.id[0] <= 'Z'; }

}  // namespace

TEST_CASE("Every entry has its four parts, and U1 to U43 are all there") {
  const auto book = shipped_handbook();
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
  const auto book = shipped_handbook();
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

// The rules of agentskills.io/specification for the file's head and of its advice for its length.
TEST_CASE("SKILL.md keeps the rules of the Agent Skills format") {
  const fs::path file = shipped_root() / "skill/remote-gpu-trainer/SKILL.md";
  const std::string text = read_file(file, 1u << 20).value();
  const Json head = frontmatter_json("SKILL.md", text).value();
  const std::string name = head.at("name");
  CHECK(name == file.parent_path().filename());
  CHECK(name.size() <= 64);
  CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos);
  CHECK((name.front() != '-' && name.back() != '-' && name.find("--") == std::string::npos));
  const std::string description = head.at("description");
  CHECK(!description.empty());
  CHECK(description.size() <= 1024);
  CHECK(head.value("compatibility", "x").size() <= 500);
  for (const auto& [key, value] : head.items()) {
    INFO(key);
    CHECK((std::set<std::string>{"name", "description", "license", "compatibility", "metadata",
                                 "allowed-tools"}
               .contains(key)));
    if (key != "metadata") CHECK(value.is_string());
  }
  for (const auto& [key, value] : head.at("metadata").items()) CHECK(value.is_string());
  CHECK(std::count(text.begin(), text.end(), '\n') < 400);
  CHECK(tokens(text) < 5000);
}

TEST_CASE("The list of tools and SKILL.md together leave an agent its context") {
  const fs::path root = shipped_root();
  std::size_t total =
      tokens(read_file(root / "skill/remote-gpu-trainer/SKILL.md", 1u << 20).value());
  std::size_t cards = 0;
  for (const auto& card : fs::directory_iterator(root / "tests/tools/cards")) {
    // The snapshots are indented; on the wire they are not.
    total += tokens(Json::parse(read_file(card.path(), 1u << 20).value()).dump());
    ++cards;
  }
  CHECK(cards == 7);
  INFO("about " << total << " tokens");
  CHECK(total < 8000);
}

TEST_CASE("Each profile's frontmatter fits profiles/_schema.json, which knows what is wrong") {
  const fs::path root = shipped_root();
  const mcp::Schema schema(
      Json::parse(read_file(root / "profiles/_schema.json", 1u << 20).value()));
  std::size_t profiles = 0;
  const auto book = shipped_handbook();
  for (const Document& document : book->documents()) {
    if (!document.path.starts_with("profiles/") || document.path.starts_with("profiles/_"))
      continue;
    Json head = frontmatter_json(document.path, document.text).value();
    INFO(document.path);
    CHECK(schema.mismatch(head).value_or("") == "");
    ++profiles;
    head["verified"] = "2026-13";
    CHECK(schema.mismatch(head));
  }
  CHECK(profiles == book->profiles().size());
  CHECK(profiles >= 8);
  CHECK(schema.mismatch(Json{{"title", "x"}}));
}

TEST_CASE("Documents and sections are read by their URIs, and nothing else is") {
  const auto book = shipped_handbook();
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
