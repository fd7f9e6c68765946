// SPDX-License-Identifier: MIT
// The handbook: SKILL.md, profiles and references as documents with addressable sections, and
// offline search over them. Embedded in the binary; a directory may override it (RGT_HANDBOOK_DIR).
// Sections, profiles and the index of the embedded one are made when they are first asked for: most
// calls of the program need none of them. Seen from outside it is immutable: safe from any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/profile/profile.h"

namespace rgt {

struct Document {
  std::string path = {};   // "references/gotchas_universal.md", "skill/remote-gpu-trainer/SKILL.md"
  std::string uri = {};    // "rgt://handbook/" + path
  std::string title = {};  // the first heading
  std::string text = {};
  std::string modified = {};  // "2026-11-27T09:30:00Z", or empty
};

struct Section {
  std::string id = {};  // entry id ("U7"), or a slug of the heading
  std::string title = {};
  std::string uri = {};       // document uri + "#" + id
  std::string document = {};  // path
  std::string platform = {};  // the profile's name for sections of a profile, else empty
  std::string fix = {};       // first sentence of the "Fix" part, cleaned; may be empty
  std::string text = {};      // the whole section

  bool is_entry() const { return !id.empty() && id[0] >= 'A' && id[0] <= 'Z'; }
};

struct Match {
  const Section* section = nullptr;  // owned by the Handbook
  double score = 0;                  // larger is better; comparable inside one answer
};

class Handbook {
 public:
  // `override_directory` empty: the embedded files, which the tests have proven whole. Else
  // everything is read and checked now; errors name the file and what is wrong in it.
  static Result<std::unique_ptr<Handbook>> load(const std::filesystem::path& override_directory);
  ~Handbook();

  const std::vector<Document>& documents() const;
  const std::vector<Section>& sections() const;
  const Section* find_entry(std::string_view id) const;  // exact id, any case; nullptr if unknown
  // Document or section text; not_found. The skill's folder has profiles/ and references/ too.
  Result<std::string> read(std::string_view uri) const;

  // Best first, at most `limit`. Empty when nothing fits well enough: better none than a guess.
  std::vector<Match> search(std::string_view words, std::string_view platform,
                            std::size_t limit) const;

  const std::vector<Profile>& profiles() const;
  // not_found names the known profiles and the nearest.
  Result<const Profile*> profile(std::string_view name) const;

 private:
  struct Parts;
  explicit Handbook(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace rgt
