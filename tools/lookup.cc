// SPDX-License-Identifier: MIT
// lookup: what the handbook knows about a symptom. Offline, read only; no good match is said as
// such.
#include "tools/lookup.h"

#include "core/base/text.h"
#include "tools/report.h"

namespace rgt {
namespace {

constexpr std::size_t kFullTextLimit = 1800;  // bytes of the best entry: enough for any one entry

Card card() {
  return Card{
      "lookup",
      "Look up the handbook",
      "Search the offline handbook of remote GPU training: failure symptoms, platform facts, "
      "storage "
      "and billing traps. Give an error message, a symptom in plain words, or an entry id (U7, "
      "M2). "
      "Returns the best entries with their fix, or none.",
      input_schema({{"query",
                     {{"type", "string"},
                      {"minLength", 1},
                      {"maxLength", 2000},
                      {"description", "error text, symptom, or entry id"}}},
                    {"platform",
                     {{"type", "string"},
                      {"description", "only this profile's facts, plus the universal ones"}}},
                    {"limit", {{"type", "integer"}, {"minimum", 1}, {"maximum", 10}}}},
                   {"query"}),
      output_schema({{"results", {{"type", "array"}, {"items", {{"type", "object"}}}}}},
                    {"results"}),
      Annotations{
          .read_only = true, .destructive = false, .idempotent = true, .open_world = false}};
}

ToolResult lookup(const Environment& environment, const Json& arguments) {
  const Handbook& handbook = environment.handbook;
  const std::string platform = text_or(arguments, "platform");
  if (!platform.empty()) {
    if (auto known = handbook.profile(platform); !known) return usage_error(known.error());
  }
  const std::string query = text_or(arguments, "query");
  const auto limit = static_cast<std::size_t>(integer_or(arguments, "limit", 3));
  const std::vector<Match> matches = handbook.search(query, platform, limit);

  Report report(handbook, matches.empty() ? "no_match" : "found");
  Json results = Json::array();
  for (const Match& match : matches) {
    const Section& section = *match.section;
    Json row{{"id", section.id},
             {"title", section.title},
             {"uri", section.uri},
             {"score", match.score},
             {"fix", section.fix}};
    // The best one comes whole, so that an agent pays for one entry and needs no second call.
    if (results.empty()) row["text"] = clean_text(section.text, kFullTextLimit);
    report.add_line(section.id + "  " + section.title +
                    (section.fix.empty() ? "" : "\n    fix: " + section.fix) + "\n    " +
                    section.uri);
    results.push_back(std::move(row));
  }
  if (matches.empty()) {
    report.set_summary("No good match in the handbook for \"" + clean_line(query, 120) + "\".");
    report.set_exit(Exit::attention);
    report.add_next(
        {"try the exact error line, other words, or an entry id; do not guess a fix", "", nullptr});
  } else {
    report.set_summary("Best match: " + matches[0].section->id + ", " + matches[0].section->title);
    report.add_line(clean_text(matches[0].section->text, kFullTextLimit));
  }
  report.field("results") = std::move(results);
  return report.finish();
}

}  // namespace

Tool lookup_tool(Environment& environment) {
  return {card(), [&environment](const Json& arguments, const Call&) {
            return lookup(environment, arguments);
          }};
}

}  // namespace rgt
