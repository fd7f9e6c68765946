// SPDX-License-Identifier: MIT
#include "core/handbook/documents.h"

#include <algorithm>
#include <set>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileLimit = 512;
constexpr std::uint64_t kSizeLimit = 1u << 20;

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "U7", "GEN1", "AD-DANGER", "T18b": what an entry heading begins with before its dash.
bool is_entry_id(std::string_view word) {
  if (word.size() < 2 || word.size() > 16 || !is_upper(word[0])) return false;
  const bool marked =
      std::any_of(word.begin(), word.end(), [](char c) { return is_digit(c) || c == '-'; });
  return marked && std::all_of(word.begin(), word.end(), [](char c) {
           return is_upper(c) || is_digit(c) || c == '-' || (c >= 'a' && c <= 'z');
         });
}

std::string slug_of(std::string_view heading) {
  std::string slug;
  for (const char c : to_lower(heading)) {
    const bool word =
        (c >= 'a' && c <= 'z') || is_digit(c) || static_cast<unsigned char>(c) >= 0x80;
    if (word)
      slug += c;
    else if (!slug.empty() && slug.back() != '-')
      slug += '-';
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug.empty() ? "section" : slug;
}

struct Heading {
  std::size_t at = 0;
  int level = 0;
  std::string text = {};
};

// Headings outside of fenced code.
std::vector<Heading> headings_of(std::string_view text) {
  std::vector<Heading> headings;
  bool fenced = false;
  std::size_t at = 0;
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("```") || line.starts_with("~~~")) fenced = !fenced;
    const std::size_t hashes = line.find_first_not_of('#');
    if (!fenced && hashes != std::string_view::npos && hashes >= 1 && hashes <= 6 &&
        line[hashes] == ' ') {
      headings.push_back({at, static_cast<int>(hashes), std::string(trim(line.substr(hashes)))});
    }
    at += line.size() + 1;
  }
  return headings;
}

void name_section(const Heading& heading, std::set<std::string>& taken, Section& section) {
  const std::string_view text = heading.text;
  const std::string_view first = text.substr(0, text.find(' '));
  const std::size_t dash = text.find("\xE2\x80\x94");  // an em dash between id and title
  if (heading.level == 3 && is_entry_id(first) && dash != std::string_view::npos) {
    section.id = first;
    section.title = clean_line(text.substr(dash + 3), 200);
  } else {
    section.title = clean_line(text, 200);
    section.id = slug_of(text);
    for (int n = 2; taken.contains(section.id); ++n)
      section.id = slug_of(text) + "-" + std::to_string(n);
  }
  taken.insert(section.id);
}

std::string modified(const fs::directory_entry& entry) {
  std::error_code error;
  const fs::file_time_type at = entry.last_write_time(error);
  if (error) return {};
  return to_iso8601(
      std::chrono::time_point_cast<Milliseconds>(std::chrono::file_clock::to_sys(at)));
}

}  // namespace

std::string fix_of(std::string_view section_text) {
  const std::size_t at = section_text.find("**Fix:**");
  if (at == std::string_view::npos) return {};
  std::string_view rest = section_text.substr(at + 8);
  rest = rest.substr(0, std::min(rest.find("\n**"), rest.find("\n\n")));
  const std::string line = clean_line(rest, 400);
  const std::size_t end = line.find(". ");
  return end == std::string::npos ? line : line.substr(0, end + 1);
}

std::vector<Section> sections_of(const Document& document) {
  std::vector<Section> sections;
  std::set<std::string> taken;
  const std::vector<Heading> headings = headings_of(document.text);
  for (std::size_t i = 0; i < headings.size(); ++i) {
    if (headings[i].level != 2 && headings[i].level != 3) continue;
    std::size_t end = document.text.size();
    for (std::size_t j = i + 1; j < headings.size(); ++j) {
      if (headings[j].level > headings[i].level) continue;
      end = headings[j].at;
      break;
    }
    Section section;
    name_section(headings[i], taken, section);
    section.text = document.text.substr(headings[i].at, end - headings[i].at);
    section.uri = document.uri + "#" + section.id;
    section.document = document.path;
    section.fix = fix_of(section.text);
    if (document.path.starts_with("profiles/"))
      section.platform = fs::path(document.path).stem().string();
    sections.push_back(std::move(section));
  }
  return sections;
}

Document make_document(std::string path, std::string text) {
  Document document;
  document.uri = std::string(kHandbookUri) + path;
  document.path = std::move(path);
  document.text = std::move(text);
  const std::vector<Heading> headings = headings_of(document.text);
  document.title = headings.empty() ? document.path : clean_line(headings[0].text, 200);
  return document;
}

Result<std::vector<Document>> documents_below(const fs::path& root) {
  std::vector<Document> documents;
  for (const char* part : {"skill", "profiles", "references"}) {
    std::error_code error;
    fs::recursive_directory_iterator walk(root / part, fs::directory_options::none, error);
    if (error) {
      return Error{
          Code::not_found,
          "the handbook folder " + (root / part).string() + " cannot be read: " + error.message(),
          "RGT_HANDBOOK_DIR must hold skill/, profiles/ and references/; unset it to use the "
          "built-in handbook"};
    }
    for (auto at = fs::begin(walk); at != fs::end(walk); ++at) {
      const fs::directory_entry& entry = *at;
      // A skill's folder may hold the other two again, as links or as copies.
      if (part == std::string_view("skill") && at.depth() > 1) continue;
      if (entry.is_symlink() || !entry.is_regular_file() || entry.path().extension() != ".md")
        continue;
      if (documents.size() == kFileLimit)
        return Error{Code::limit, "the handbook has more than 512 files", "remove some"};
      auto text = read_file(entry.path(), kSizeLimit);
      if (!text) return text.error();
      documents.push_back(
          make_document(fs::relative(entry.path(), root).generic_string(), std::move(*text)));
      documents.back().modified = modified(entry);
    }
  }
  std::sort(documents.begin(), documents.end(),
            [](const Document& a, const Document& b) { return a.path < b.path; });
  return documents;
}

}  // namespace rgt
