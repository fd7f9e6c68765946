// SPDX-License-Identifier: MIT
// The facts that cost money or data are as a second list says; each carries the month of its last
// comparison; ids have no gaps, so that one that is renamed or dropped is missed; old stamps are
// found by the calendar; and a draft of a new entry is one.
#include <fstream>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "core/base/text.h"
#include "core/handbook/documents.h"
#include "core/handbook/draft.h"
#include "core/handbook/freshness.h"
#include "tests/core/handbook/shipped.h"

namespace rgt {
namespace {

// 2026-11-27 12:00:00 UTC
const Time kNow = from_unix(1795780800);

std::string survives(Survives state) {
  switch (state) {
    case Survives::yes: return "yes";
    case Survives::no: return "no";
    case Survives::billed: return "billed";
    case Survives::unknown: break;
  }
  return "unknown";
}

std::string figures(std::string_view text) {
  std::string found;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && (std::isdigit(static_cast<unsigned char>(text[end])) != 0 ||
                                 (end > at && (text[end] == ',' || text[end] == '.'))))
      ++end;
    if (end > at) found += (found.empty() ? "" : " ") + std::string(text.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

// "Terminate the pod in the console" of a longer explanation.
std::string first_clause(const std::string& text) {
  std::string clause = text.substr(0, text.find_first_of("(:;,."));
  while (!clause.empty() && clause.back() == ' ') clause.pop_back();
  return clause;
}

std::set<std::string> facts_of(const Profile& profile) {
  std::set<std::string> facts;
  const auto add = [&](const std::string& what, const std::string& key, const std::string& value) {
    facts.insert(profile.name + "\t" + what + "\t" + key + "\t" + value);
  };
  const auto word = [](bool flag) { return std::string(flag ? "true" : "false"); };
  add("meter_stop", "irreversible", word(profile.meter_stop.irreversible));
  add("meter_stop", "verb", first_clause(profile.meter_stop.verb));
  add("verified", "month", profile.verified);
  for (const StorageTier& tier : profile.storage)
    add(tier.name, tier.path, survives(tier.stop) + " " + survives(tier.destroy));
  for (const DangerClock& clock : profile.danger_clocks)
    add("clock", clock.id, figures(clock.what));
  add("fact", "data_mount", profile.data_mount);
  add("fact", "durable_mount", profile.durable_mount);
  add("fact", "inode_cap", std::to_string(profile.inode_cap));
  add("fact", "spot_available", word(profile.spot_available));
  add("fact", "china_mirror_needed", word(profile.china_mirror_needed));
  return facts;
}

Draft good_draft() {
  return {"U",
          "The widget stops at 99 % and never ends",
          "the widget waits for a lock that a dead process holds",
          "delete the lock file and start again",
          "by hand: the lock's owner is no process any more",
          "卡在 99 %",
          "measured on two boxes in 2026-11"};
}

}  // namespace

TEST_CASE("What survives, what bills and when data is deleted is as the second list says") {
  const auto book = shipped_handbook();
  std::set<std::string> stated, found;
  std::ifstream file(std::string(RGT_SOURCE_DIR) + "/tests/core/handbook/data/money_facts.tsv");
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') stated.insert(line);
  for (const Profile& profile : book->profiles()) found.merge(facts_of(profile));
  for (const std::string& fact : found) {
    INFO("not in money_facts.tsv: " << fact);
    CHECK(stated.contains(fact));
  }
  for (const std::string& fact : stated) {
    INFO("in no profile: " << fact);
    CHECK(found.contains(fact));
  }
}

TEST_CASE("Every entry about a rented platform says when it was last compared with its source") {
  const auto book = shipped_handbook();
  std::size_t stamped = 0;
  for (const Section& section : book->sections()) {
    const bool rented = !section.platform.empty() && section.platform != "generic-ssh" &&
                        section.platform != "local";
    if (!rented || book->find_entry(section.id) != &section) continue;
    INFO(section.id);
    CHECK_FALSE(stamps_of(make_document("x.md", section.text), kNow).empty());
    ++stamped;
  }
  CHECK(stamped > 80);
}

TEST_CASE("Each family of ids counts from 1 without a gap") {
  const auto book = shipped_handbook();
  std::map<std::string, std::set<std::uint64_t>> families;
  for (const Section& section : book->sections()) {
    if (book->find_entry(section.id) != &section) continue;
    const std::size_t digits = section.id.find_last_not_of("0123456789") + 1;
    if (const auto number = parse_uint(section.id.substr(digits)))
      families[section.id.substr(0, digits)].insert(*number);
  }
  CHECK(families.size() > 30);
  for (const auto& [family, numbers] : families) {
    INFO(family);
    CHECK(*numbers.begin() == 1);
    CHECK(*numbers.rbegin() == numbers.size());
  }
  CHECK(book->find_entry("AD-DANGER") != nullptr);
  CHECK(book->find_entry("T18b") != nullptr);
}

TEST_CASE("A stamp is stale once its month is further back than asked, by the calendar") {
  const Document document =
      make_document("references/x.md",
                    "# X\n\n### U1 \xE2\x80\x94 a\n\n**Source:** docs; verified "
                    "2026-05.\n\n## B\nverified 2026-06, verified 2027-01\n"
                    "verified by hand, verified 20 times\n");
  const auto stamps = stamps_of(document, kNow);
  REQUIRE(stamps.size() == 3);
  CHECK(stamps[0].entry == "U1");
  CHECK(stamps[0].line == 5);
  CHECK(stamps[0].age_months == 6);
  CHECK(stamps[1].entry.empty());
  CHECK(check_freshness({document}, kNow, 6).stale.size() == 1);  // the one in the future
  CHECK(check_freshness({document}, kNow, 5).stale.size() == 2);
  // One second into December everything is a month older.
  const Time december = from_unix(1796083201);
  CHECK(check_freshness({document}, december, 6).stale.size() == 2);
}

TEST_CASE("The handbook's own stamps are read, and none is in the future") {
  const auto book = shipped_handbook();
  const Freshness freshness = check_freshness(book->documents(), kNow, 1200);
  CHECK(freshness.stamps > 100);
  CHECK(freshness.stale.empty());
}

TEST_CASE("A drafted entry has a free id, the form of an entry, and what it resembles") {
  const auto book = shipped_handbook();
  const auto entry = draft_entry(*book, good_draft(), {});
  REQUIRE(entry.ok());
  CHECK(book->find_entry(entry->id) == nullptr);
  CHECK(entry->document == "references/gotchas_universal.md");
  CHECK(entry->markdown.starts_with("### " + entry->id + " \xE2\x80\x94 The widget stops"));
  const auto next = draft_entry(*book, good_draft(), {entry->id});
  CHECK(next->id != entry->id);
  CHECK(book->find_entry(next->id) == nullptr);
  Draft known = good_draft();
  known.symptom = "No space left on device although df -h shows free space";
  CHECK(draft_entry(*book, known, {})->similar == "U7");
}

TEST_CASE("A draft that says too little, or tries to be more than one entry, is refused") {
  const auto book = shipped_handbook();
  const auto why = [&](auto change) {
    Draft draft = good_draft();
    change(draft);
    const auto entry = draft_entry(*book, draft, {});
    return entry ? "" : entry.error().message;
  };
  CHECK(why([](Draft& draft) { draft.cause = "unknown"; }).find("--cause") != std::string::npos);
  CHECK(why([](Draft& draft) { draft.source = ""; }).find("--source") != std::string::npos);
  CHECK(why([](Draft& draft) { draft.family = "ZZ"; }).find("no family") != std::string::npos);
  CHECK(why([](Draft& draft) { draft.fix = "do this **Source:** of lies"; }).find("--fix") !=
        std::string::npos);
  CHECK(why([](Draft& draft) { draft.symptom.assign(500, 'x'); }).find("--symptom") !=
        std::string::npos);
  Draft lines = good_draft();
  lines.cause += "\n\n### U1 \xE2\x80\x94 another\n";
  CHECK(draft_entry(*book, lines, {})->markdown.find("\n### U1") == std::string::npos);
}

}  // namespace rgt
