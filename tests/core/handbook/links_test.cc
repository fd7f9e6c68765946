// SPDX-License-Identifier: MIT
// Whatever points into the handbook finds something there: links and their anchors in every
// document of the repository, and entry ids in documents, code, tables and cases.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/handbook/documents.h"
#include "core/handbook/handbook.h"
#include "tests/core/handbook/shipped.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = shipped_root();
// Cards that look like ids of entries that are not there.
// Names of cards, and safetensors' name of a complex number.
const std::set<std::string> kNoEntries{"V100", "P100", "L40", "T1000", "M4000", "C64"};

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }

// Our own text files with one of these endings; what was installed or built is not ours.
std::vector<fs::path> files_with(const std::set<std::string>& endings) {
  std::vector<fs::path> files;
  for (const char* part : {"core", "tools", "server", "skill", "profiles", "references", "evals"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / part)) {
      if (entry.is_regular_file() && endings.contains(entry.path().extension().string()))
        files.push_back(entry.path());
    }
  }
  for (const char* name : {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"})
    if (endings.contains(".md")) files.push_back(kRoot / name);
  return files;
}

std::string text_of(const fs::path& file) { return read_file(file, 4u << 20).value(); }

// "U7", "K8S3", "T18b": the letters before its number, and whether that is all it is.
std::string prefix_of(std::string_view id) {
  std::size_t digits = id.size();
  while (digits > 0 && !is_digit(id[digits - 1])) --digits;  // the trailing letter of T18b
  while (digits > 0 && is_digit(id[digits - 1])) --digits;
  return std::string(id.substr(0, digits));
}

std::set<std::string> prefixes(const Handbook& book) {
  std::set<std::string> known;
  for (const Section& section : book.sections()) {
    if (is_upper(section.id[0]) && section.id.find('-') == std::string::npos)
      known.insert(prefix_of(section.id));
  }
  return known;
}

// Words that are built like an id of one of the handbook's families.
std::vector<std::string> ids_in(std::string_view text, const std::set<std::string>& families) {
  std::vector<std::string> ids;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_letter(text[at]) && !is_digit(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && (is_letter(text[end]) || is_digit(text[end]) || text[end] == '_'))
      ++end;
    const std::string word(text.substr(at, end - at));
    const bool part_of_more =
        at > 0 && std::string_view("/.-_$\\").find(text[at - 1]) != std::string_view::npos;
    const bool numbered = is_upper(word[0]) && std::any_of(word.begin(), word.end(), is_digit) &&
                          word.size() <= 9 &&
                          (is_digit(word.back()) || word.back() == 'a' || word.back() == 'b');
    if (numbered && !part_of_more && families.contains(prefix_of(word))) ids.push_back(word);
    at = end;
  }
  return ids;
}

std::set<std::string> anchors_of(const fs::path& file) {
  std::set<std::string> anchors;
  for (const Section& section :
       sections_of(make_document(fs::relative(file, kRoot).generic_string(), text_of(file))))
    anchors.insert(section.id);
  return anchors;
}

}  // namespace

TEST_CASE("Relative links and their anchors lead somewhere, in every document") {
  std::size_t links = 0;
  for (const fs::path& file : files_with({".md"})) {
    const std::string text = text_of(file);
    for (std::size_t at = text.find("]("); at != std::string::npos; at = text.find("](", at + 2)) {
      const std::string whole = text.substr(at + 2, text.find(')', at) - at - 2);
      if (whole.empty() || whole.find("://") != std::string::npos || whole.starts_with("mailto:"))
        continue;
      const std::size_t hash = whole.find('#');
      const fs::path target = hash == 0 ? file : file.parent_path() / whole.substr(0, hash);
      INFO(file.string() << " -> " << whole);
      CHECK(fs::exists(target));
      if (hash != std::string::npos && fs::is_regular_file(target))
        CHECK(anchors_of(target).contains(whole.substr(hash + 1)));
      ++links;
    }
  }
  CHECK(links > 30);
}

TEST_CASE("Every id that a document, a table, a case or the code cites is an entry") {
  const auto book = shipped_handbook();
  const std::set<std::string> families = prefixes(*book);
  CHECK(families.contains("U"));
  CHECK(families.contains("K8S"));
  std::size_t cited = 0;
  for (const fs::path& file : files_with({".md", ".tsv", ".jsonl", ".cc", ".h"})) {
    const std::string text = text_of(file);
    const bool code = file.extension() == ".cc" || file.extension() == ".h";
    for (const std::string& id : ids_in(text, families)) {
      // In code only what is quoted alone is a citation: {"U7", "U25"}.
      if (code && text.find('"' + id + '"') == std::string::npos) continue;
      if (kNoEntries.contains(id) || id == "U99") continue;  // U99 stands for a new entry
      INFO(file.string() << " cites " << id);
      CHECK(book->find_entry(id) != nullptr);
      ++cited;
    }
  }
  CHECK(cited > 500);
}

TEST_CASE("Ids are unique over the whole handbook, and each is read alone by its address") {
  const auto book = shipped_handbook();
  std::set<std::string> ids, uris;
  for (const Section& section : book->sections()) {
    INFO(section.uri);
    CHECK(uris.insert(section.uri).second);
    if (!is_upper(section.id[0])) continue;
    CHECK(ids.insert(to_lower(section.id)).second);
    const auto alone = book->read(section.uri);
    REQUIRE(alone.ok());
    CHECK(alone->starts_with("### " + section.id + " "));
    CHECK(alone->find("\n### ") == std::string::npos);  // one entry is paid for, not its file
  }
  CHECK(ids.size() > 400);
}

}  // namespace rgt
