// SPDX-License-Identifier: MIT
#include "core/handbook/handbook.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "core/base/embedded.h"
#include "core/base/text.h"
#include "core/handbook/documents.h"
#include "core/handbook/search.h"

namespace rgt {

extern const std::span<const EmbeddedFile> kHandbookFiles;

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
  for (const EmbeddedFile& file : kHandbookFiles) {
    documents.push_back(make_document(std::string(file.path), std::string(file.text)));
    documents.back().modified = file.modified;
  }
  return documents;
}

// Sections by their ids; an id that stands twice is an error.
struct Entries {
  std::vector<Section> sections = {};
  std::map<std::string, const Section*, std::less<>> by_id = {};  // lower-cased
};

Result<std::unique_ptr<Entries>> entries_of(const std::vector<Document>& documents) {
  auto entries = std::make_unique<Entries>();
  for (const Document& document : documents) {
    for (Section& section : sections_of(document)) entries->sections.push_back(std::move(section));
  }
  for (const Section& section : entries->sections) {
    if (!section.is_entry()) continue;
    const auto [place, fresh] = entries->by_id.emplace(to_lower(section.id), &section);
    if (!fresh) {
      return Error{Code::corrupt,
                   "entry " + section.id + " stands twice: in " + place->second->document +
                       " and in " + section.document,
                   "give one of them another id"};
    }
  }
  return entries;
}

Result<std::vector<Profile>> profiles_of(const std::vector<Document>& documents) {
  std::vector<Profile> profiles;
  for (const Document& document : documents) {
    if (!is_profile(document)) continue;
    auto profile =
        parse_profile(std::filesystem::path(document.path).stem().string(), document.text);
    if (!profile) return profile.error();
    if (auto whole = check_profile_sections(document); !whole) return whole.error();
    profiles.push_back(std::move(*profile));
  }
  return profiles;
}

}  // namespace

struct Handbook::Parts {
  std::vector<Document> documents = {};

  std::once_flag entries_once = {}, profiles_once = {}, search_once = {};
  std::unique_ptr<Entries> made_entries = {};
  std::vector<Profile> made_profiles = {};
  std::unique_ptr<SearchIndex> made_search = {};

  // By the time these run, load() or the tests have proven that the documents are whole.
  const Entries& entries() {
    std::call_once(entries_once, [this] {
      auto made = entries_of(documents);
      require(made.ok(), "the embedded handbook's entries are whole");
      made_entries = std::move(*made);
    });
    return *made_entries;
  }
  const std::vector<Profile>& profiles() {
    std::call_once(profiles_once, [this] {
      auto made = profiles_of(documents);
      require(made.ok(), "the embedded handbook's profiles are whole");
      made_profiles = std::move(*made);
    });
    return made_profiles;
  }
  const SearchIndex& search() {
    std::call_once(search_once,
                   [this] { made_search = std::make_unique<SearchIndex>(entries().sections); });
    return *made_search;
  }
};

Result<std::unique_ptr<Handbook>> Handbook::load(const std::filesystem::path& override_directory) {
  auto parts = std::make_unique<Parts>();
  if (override_directory.empty()) {
    parts->documents = embedded_documents();
    return std::unique_ptr<Handbook>(new Handbook(std::move(parts)));
  }
  auto documents = documents_below(override_directory);
  if (!documents) return documents.error();
  auto entries = entries_of(*documents);
  if (!entries) return entries.error();
  auto profiles = profiles_of(*documents);
  if (!profiles) return profiles.error();
  parts->documents = std::move(*documents);
  std::call_once(parts->entries_once, [&] { parts->made_entries = std::move(*entries); });
  std::call_once(parts->profiles_once, [&] { parts->made_profiles = std::move(*profiles); });
  return std::unique_ptr<Handbook>(new Handbook(std::move(parts)));
}

Handbook::Handbook(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Handbook::~Handbook() = default;

const std::vector<Document>& Handbook::documents() const { return parts_->documents; }
const std::vector<Section>& Handbook::sections() const { return parts_->entries().sections; }
const std::vector<Profile>& Handbook::profiles() const { return parts_->profiles(); }

const Section* Handbook::find_entry(std::string_view id) const {
  const auto& by_id = parts_->entries().by_id;
  const auto found = by_id.find(to_lower(id));
  return found == by_id.end() ? nullptr : found->second;
}

Result<std::string> Handbook::read(std::string_view uri) const {
  for (const char* part : {"profiles/", "references/"}) {
    const std::string linked = std::string(kHandbookUri) + "skill/remote-gpu-trainer/" + part;
    if (uri.starts_with(linked))
      return read(std::string(kHandbookUri) + part + std::string(uri.substr(linked.size())));
  }
  for (const Document& document : parts_->documents) {
    if (document.uri == uri) return document.text;
  }
  for (const Section& section : sections()) {
    if (section.uri == uri) return section.text;
  }
  return Error{Code::not_found, "no resource " + clean_line(uri, 200),
               "resources/list names the documents; a section is document#id"};
}

std::vector<Match> Handbook::search(std::string_view words, std::string_view platform,
                                    std::size_t limit) const {
  return parts_->search().find(words, platform, limit);
}

Result<const Profile*> Handbook::profile(std::string_view name) const {
  std::vector<std::string> names;
  for (const Profile& profile : profiles()) {
    if (profile.name == name) return &profile;
    names.push_back(profile.name);
  }
  const auto near = did_you_mean(name, names);
  return Error{Code::not_found, "no profile named \"" + clean_line(name, 60) + "\"",
               near ? "did you mean " + *near + "?" : "profiles: " + join(names, ", ")};
}

}  // namespace rgt
