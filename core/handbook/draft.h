// SPDX-License-Identifier: MIT
// A new entry as a proposal: symptom, root cause, fix, in the form of
// references/self-improvement.md. Only text is made here; a person moves it into the handbook.
#pragma once

#include <set>
#include <string>

#include "core/base/result.h"
#include "core/handbook/handbook.h"

namespace rgt {

struct Draft {
  std::string family = "U";  // the letters of its id: U, NET, RP, ...
  std::string symptom = {};  // as a person or a log says it
  std::string cause = {};    // the mechanism
  std::string fix = {};      // what to do first, then the rest
  std::string check = {};    // how one sees that it is this, and that it is cured
  std::string also = {};     // other words for it; may be empty
  std::string source = {};   // where it is documented, or how it was measured
};

struct DraftedEntry {
  std::string id = {};
  std::string markdown = {};
  std::string document = {};  // where the family's entries stand
  std::string similar = {};   // id of the entry that the symptom finds today; may be empty
};

// `taken`: ids of other drafts. Errors name the field. The words may come from a log: they are
// cleaned, and what they cannot be is a second heading or another field.
Result<DraftedEntry> draft_entry(const Handbook& handbook, const Draft& draft,
                                 const std::set<std::string>& taken);

}  // namespace rgt
