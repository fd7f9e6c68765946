// SPDX-License-Identifier: MIT
#include "core/handbook/draft.h"

#include "core/base/text.h"
#include "core/handbook/documents.h"

namespace rgt {
namespace {

// An entry of 1,800 bytes is shown whole by lookup; a longer field is an essay.
constexpr std::size_t kFieldLimit = 1200;
constexpr std::size_t kSymptomLimit = 200;
constexpr std::size_t kLeastField = 12;  // bytes: "unknown" and "see above" are no cause

struct Field {
  const char* name;
  const std::string& value;
  std::size_t limit;
};

Result<std::string> checked(const Field& field) {
  const std::string value(trim(clean_line(field.value, field.limit + 1)));
  const std::string name = std::string("--") + field.name;
  if (value.size() < kLeastField)
    return Error{Code::invalid_argument, name + " is missing or says too little",
                 "references/self-improvement.md says what belongs there"};
  if (value.size() > field.limit)
    return Error{Code::limit, name + " is longer than " + std::to_string(field.limit) + " bytes",
                 "say the mechanism in one or two sentences"};
  if (value.find("**") != std::string::npos || value.starts_with("#"))
    return Error{Code::invalid_argument, name + " has Markdown of its own (** or #)",
                 "plain words and `code` only"};
  return value;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Result<DraftedEntry> draft_entry(const Handbook& handbook, const Draft& draft,
                                 const std::set<std::string>& taken) {
  DraftedEntry entry;
  std::uint64_t last = 0;
  std::set<std::string> families;
  for (const Section& section : handbook.sections()) {
    if (!section.is_entry()) continue;
    const std::size_t digits = section.id.find_last_not_of("0123456789") + 1;
    const std::string number = section.id.substr(digits);
    families.insert(section.id.substr(0, digits));
    if (section.id.substr(0, digits) != draft.family || !is_number(number)) continue;
    last = std::max(last, parse_uint(number).value_or(0));
    entry.document = section.document;
  }
  if (entry.document.empty()) {
    families.erase("AD-DANGER");
    return Error{Code::not_found, "no family of entries \"" + clean_line(draft.family, 20) + "\"",
                 "families: " + join({families.begin(), families.end()}, ", ")};
  }
  do entry.id = draft.family + std::to_string(++last);
  while (taken.contains(entry.id));

  const auto symptom = checked({"symptom", draft.symptom, kSymptomLimit});
  const auto cause = checked({"cause", draft.cause, kFieldLimit});
  const auto fix = checked({"fix", draft.fix, kFieldLimit});
  const auto check = checked({"check", draft.check, kFieldLimit});
  const auto source = checked({"source", draft.source, kFieldLimit});
  for (const auto* field : {&symptom, &cause, &fix, &check, &source})
    if (!field->ok()) return field->error();
  const std::string also = clean_line(draft.also, kFieldLimit);
  entry.markdown = "### " + entry.id + " \xE2\x80\x94 " + *symptom + "\n\n**Cause:** " + *cause +
                   "\n**Fix:** " + *fix + "\n**Check:** " + *check + "\n" +
                   (also.empty() ? "" : "**Also searched as:** " + also + "\n") + "**Source:** " +
                   *source + "\n";
  const auto matches = handbook.search(*symptom, "", 1);
  if (!matches.empty()) entry.similar = matches[0].section->id;
  const auto sections = sections_of(make_document("draft.md", entry.markdown));
  require(sections.size() == 1 && sections[0].id == entry.id && !sections[0].fix.empty(),
          "a draft that is no entry");
  return entry;
}

}  // namespace rgt
