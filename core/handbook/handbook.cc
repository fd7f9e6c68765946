// SPDX-License-Identifier: MIT
#include "core/handbook/handbook.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/base/embedded.h"
#include "core/base/text.h"
#include "core/handbook/documents.h"
#include "core/handbook/search.h"

namespace rgt {

extern const std::span<const EmbeddedFile> kHandbookFiles;

struct Handbook::Index {
  std::vector<Document> documents = {};
  std::vector<Section> sections = {};
  std::map<std::string, const Section*, std::less<>> entries = {};  // by lower-cased id
  std::vector<Profile> profiles = {};
  std::unique_ptr<SearchIndex> search = {};
};

namespace {

// What every profile must tell a person, in this order (profiles/_schema.md).
constexpr std::array<std::string_view, 8> kProfileSections{
    "Launch", "Storage", "Network", "Spot", "Teardown", "Daemon", "Gotchas", "Overrides"};

Result<void> check_profile_sections(const Document& document) {
  for (const std::string_view name : kProfileSections) {
    if (document.text.find("\n## " + std::string(name) + "\n") == std::string::npos) {
      return Error{Code::corrupt,
                   document.path + ": the section \"## " + std::string(name) + "\" is missing",
                   "see profiles/_schema.md"};
    }
  }
  return {};
}

bool is_profile(const Document& document) {
  return document.path.starts_with("profiles/") && !document.path.starts_with("profiles/_");
}

std::vector<Document> embedded_documents() {
  std::vector<Document> documents;
  for (const EmbeddedFile& file : kHandbookFiles)
    documents.push_back(make_document(std::string(file.path), std::string(file.text)));
  return documents;
}

bool is_entry_id(const std::string& id) { return !id.empty() && id[0] >= 'A' && id[0] <= 'Z'; }

}  // namespace

Result<std::unique_ptr<Handbook>> Handbook::load(const std::filesystem::path& override_directory) {
  auto index = std::make_unique<Index>();
  if (override_directory.empty()) {
    index->documents = embedded_documents();
  } else {
    auto documents = documents_below(override_directory);
    if (!documents) return documents.error();
    index->documents = std::move(*documents);
  }
  for (const Document& document : index->documents) {
    if (is_profile(document)) {
      auto profile =
          parse_profile(std::filesystem::path(document.path).stem().string(), document.text);
      if (!profile) return profile.error();
      if (auto whole = check_profile_sections(document); !whole) return whole.error();
      index->profiles.push_back(std::move(*profile));
    }
    for (Section& section : sections_of(document)) index->sections.push_back(std::move(section));
  }
  for (const Section& section : index->sections) {
    if (!is_entry_id(section.id)) continue;
    const auto [place, fresh] = index->entries.emplace(to_lower(section.id), &section);
    if (!fresh) {
      return Error{Code::corrupt,
                   "entry " + section.id + " stands twice: in " + place->second->document +
                       " and in " + section.document,
                   "give one of them another id"};
    }
  }
  index->search = std::make_unique<SearchIndex>(index->sections);
  return std::unique_ptr<Handbook>(new Handbook(std::move(index)));
}

Handbook::Handbook(std::unique_ptr<Index> index) : index_(std::move(index)) {}
Handbook::~Handbook() = default;

const std::vector<Document>& Handbook::documents() const { return index_->documents; }
const std::vector<Section>& Handbook::sections() const { return index_->sections; }
const std::vector<Profile>& Handbook::profiles() const { return index_->profiles; }

const Section* Handbook::find_entry(std::string_view id) const {
  const auto found = index_->entries.find(to_lower(id));
  return found == index_->entries.end() ? nullptr : found->second;
}

Result<std::string> Handbook::read(std::string_view uri) const {
  for (const Document& document : index_->documents) {
    if (document.uri == uri) return document.text;
  }
  for (const Section& section : index_->sections) {
    if (section.uri == uri) return section.text;
  }
  return Error{Code::not_found, "no resource " + clean_line(uri, 200),
               "resources/list names the documents; a section is document#id"};
}

std::vector<Match> Handbook::search(std::string_view words, std::string_view platform,
                                    std::size_t limit) const {
  return index_->search->find(words, platform, limit);
}

Result<const Profile*> Handbook::profile(std::string_view name) const {
  std::vector<std::string> names;
  for (const Profile& profile : index_->profiles) {
    if (profile.name == name) return &profile;
    names.push_back(profile.name);
  }
  const auto near = did_you_mean(name, names);
  return Error{Code::not_found, "no profile named \"" + clean_line(name, 60) + "\"",
               near ? "did you mean " + *near + "?" : "profiles: " + join(names, ", ")};
}

}  // namespace rgt
