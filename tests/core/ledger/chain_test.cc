// SPDX-License-Identifier: MIT
// Events that nobody can change unseen, and views that are nothing but the events.
#include <random>

#include <sqlite3.h>

#include "core/base/files.h"
#include "tests/core/ledger/ledger_fixture.h"

namespace rgt {
namespace {

// What a person with sqlite3 in hand could do to the file.
void tamper(const std::filesystem::path& folder, const std::string& sql, bool drop_guards = true) {
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open((folder / "ledger.sqlite3").c_str(), &connection) == SQLITE_OK);
  const std::string guards =
      "DROP TRIGGER IF EXISTS events_are_not_changed; DROP TRIGGER IF EXISTS "
      "events_are_not_deleted;";
  const std::string all = (drop_guards ? guards : "") + sql;
  const int code = sqlite3_exec(connection, all.c_str(), nullptr, nullptr, nullptr);
  sqlite3_close(connection);
  CHECK((code == SQLITE_OK) == drop_guards);
}

void fill(Ledger& ledger, int runs) {
  for (int i = 0; i < runs; ++i)
    REQUIRE(ledger.claim_run(run_record("r" + std::to_string(i)), at(i)));
}

// A seeded life of a ledger: whatever happens, the views must equal what the events say.
void live(Ledger& ledger, unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 60; ++i) {
    const std::string run = "r" + std::to_string(random() % 4);
    const std::string request = "td-" + std::to_string(i);
    switch (random() % 8) {
      case 0: (void)ledger.claim_run(run_record(run), at(i)); break;
      case 1:
        (void)ledger.run_started(run, "/far/" + run, "tmux", "m", "k", random() % 2 == 0, at(i));
        break;
      case 2: {
        RunAssessment seen;
        seen.run = run;
        seen.verdict = Verdict::healthy;
        seen.ended = random() % 2 == 0;
        (void)ledger.run_looked_at(seen, at(i));
        break;
      }
      case 3: (void)ledger.manifest_taken(run, "d" + std::to_string(i), "{}", at(i)); break;
      case 4:
        (void)ledger.artifacts_checked({{.run = run, .cell = "c", .path = "p", .verdict = "ok"}},
                                       at(i));
        break;
      case 5: (void)ledger.teardown_requested(waiting_request(request), at(i)); break;
      case 6:
        (void)ledger.approve("td-" + std::to_string(random() % 60), "e1", "form", "me",
                             Seconds(900), at(i));
        break;
      default: (void)ledger.use_approval("td-" + std::to_string(random() % 60), "e1", at(i)); break;
    }
  }
}

std::string views_of(Ledger& ledger) {
  std::string text;
  for (const RunRecord& run : ledger.runs().value()) {
    text += run.run + run.folder + std::string(run_state_name(run.state)) + run.last_verdict +
            run.manifest_digest + "\n";
    for (const EvidenceRecord& row : ledger.evidence(run.run).value())
      text += row.path + row.verdict + "\n";
  }
  for (const TeardownRecord& record : ledger.teardowns("box").value()) {
    text += record.request + std::string(request_state_name(record.state)) + record.approver + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE(
    "The chain is intact until somebody changes, removes or cuts events, and names the first bad "
    "one") {
  const TemporaryFolder folder;
  fill(*open_ledger(folder.path()), 10);
  CHECK(open_ledger(folder.path())->verify_chain()->intact);
  const auto first_bad = [&] {
    const auto report = open_ledger(folder.path())->verify_chain().value();
    CHECK_FALSE(report.intact);
    return report.first_bad;
  };
  SECTION("a changed body") {
    tamper(folder.path(),
           "UPDATE events SET body = replace(body, 'local', 'other') WHERE sequence = 4;");
    CHECK(first_bad() == 4);
  }
  SECTION("a changed time") {
    tamper(folder.path(), "UPDATE events SET at = at + 1 WHERE sequence = 7;");
    CHECK(first_bad() == 7);
  }
  SECTION("a removed event") {
    tamper(folder.path(), "DELETE FROM events WHERE sequence = 5;");
    CHECK(first_bad() == 5);
  }
  SECTION("a cut end") {
    tamper(folder.path(), "DELETE FROM events WHERE sequence > 8;");
    CHECK(first_bad() == 9);
  }
  SECTION("moving a byte between two fields") {
    tamper(folder.path(),
           "UPDATE events SET kind = kind || substr(run, 1, 1), run = substr(run, 2) WHERE "
           "sequence = 3;");
    CHECK(first_bad() == 3);
  }
}

TEST_CASE("The database itself refuses to change or delete an event") {
  const TemporaryFolder folder;
  fill(*open_ledger(folder.path()), 2);
  tamper(folder.path(), "UPDATE events SET body = '{}' WHERE sequence = 1;", false);
  tamper(folder.path(), "DELETE FROM events WHERE sequence = 1;", false);
  CHECK(open_ledger(folder.path())->verify_chain()->intact);
}

TEST_CASE("Views rebuilt from the events equal the views that were written beside them") {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger(folder.path());
    live(*ledger, seed);
    const std::string before = views_of(*ledger);
    REQUIRE(ledger->rebuild_views());
    CHECK(views_of(*ledger) == before);
    CHECK(ledger->verify_chain()->intact);
  }
}

TEST_CASE("Files that are no ledger, or a newer one, are refused with words and left as they are") {
  const TemporaryFolder folder;
  REQUIRE(write_file_atomically(folder.path() / "ledger.sqlite3",
                                "this is not a database at all, but long enough to look"));
  const auto garbage = Ledger::open(folder.path());
  REQUIRE_FALSE(garbage);
  CHECK(garbage.error().code == Code::corrupt);
  CHECK(read_file(folder.path() / "ledger.sqlite3", 1000)->starts_with("this is not"));

  const TemporaryFolder newer;
  open_ledger(newer.path());
  tamper(newer.path(), "PRAGMA user_version = 99;");
  const auto refused = Ledger::open(newer.path());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("99") != std::string::npos);
}

TEST_CASE("The ledger is for its owner's eyes only") {
  const TemporaryFolder folder;
  open_ledger(folder.path() / "state");
  namespace fs = std::filesystem;
  CHECK((fs::status(folder.path() / "state").permissions() & fs::perms::all) ==
        fs::perms::owner_all);
  CHECK((fs::status(folder.path() / "state" / "ledger.sqlite3").permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));
}

}  // namespace rgt
