// SPDX-License-Identifier: MIT
#include <thread>

#include "tests/core/ledger/ledger_fixture.h"

namespace rgt {

TEST_CASE("A name is claimed once; the same job finds it again, another job is told both digests") {
  const TemporaryFolder folder;
  const auto ledger = open_ledger(folder.path());
  CHECK(ledger->claim_run(run_record("r"), at(0))->claim == Claim::created);
  CHECK(ledger->claim_run(run_record("r"), at(1))->claim ==
        Claim::taken_over);  // never confirmed as started
  REQUIRE(ledger->run_started("r", "/far/r", "tmux", "m", "k", false, at(2)));
  CHECK(ledger->claim_run(run_record("r"), at(3))->claim == Claim::same);
  const auto other = ledger->claim_run(run_record("r", "d2"), at(4));
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Code::conflict);
  CHECK(other.error().message.find("d1") != std::string::npos);
  CHECK(other.error().message.find("d2") != std::string::npos);
}

TEST_CASE("Of many processes and threads that claim at once exactly one creates the run") {
  const TemporaryFolder folder;
  open_ledger(folder.path());
  std::atomic<int> created = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      auto own = Ledger::open(folder.path());  // a connection of its own, as another process has
      if (!own) return;
      const auto claim = (*own)->claim_run(run_record("r"), at(0));
      if (claim && claim->claim == Claim::created) ++created;
    });
  }
  threads.clear();
  CHECK(created == 1);
}

TEST_CASE("A run's state follows what was seen, and an abandoned run stays abandoned") {
  const TemporaryFolder folder;
  const auto ledger = open_ledger(folder.path());
  REQUIRE(ledger->claim_run(run_record("r"), at(0)));
  REQUIRE(ledger->run_started("r", "/far/r", "tmux", "m", "k", false, at(1)));
  RunAssessment seen;
  seen.run = "r";
  seen.verdict = Verdict::done;
  seen.summary = "1 cell: 1 done";
  seen.ended = true;
  CellAssessment cell;
  cell.cell = "c";
  cell.memory = {.cell = "c",
                 .position = {"c", 42, 1000},
                 .last_change = 7,
                 .last_progress = "step 3",
                 .tail = std::string("raw\0\xff", 5)};
  seen.cells.push_back(cell);
  REQUIRE(ledger->run_looked_at(seen, at(2)));
  CHECK(ledger->find_run("r").value()->state == RunState::ended);
  const auto memory = ledger->cell_memory("r").value();
  REQUIRE(memory.size() == 1);
  CHECK(memory[0].position.offset == 1000);
  CHECK(memory[0].tail == cell.memory.tail);
  seen.ended = false;  // it was resumed
  REQUIRE(ledger->run_looked_at(seen, at(3)));
  CHECK(ledger->find_run("r").value()->state == RunState::running);
  REQUIRE(ledger->run_abandoned("r", "me", at(4)));
  REQUIRE(ledger->run_looked_at(seen, at(5)));
  CHECK(ledger->find_run("r").value()->state == RunState::abandoned);
}

TEST_CASE("The newest evidence per artifact is kept") {
  const TemporaryFolder folder;
  const auto ledger = open_ledger(folder.path());
  EvidenceRecord row{.run = "r", .cell = "c", .path = "m.pt", .sha256 = "a", .verdict = "ok"};
  REQUIRE(ledger->artifacts_checked({row}, at(0)));
  row.verdict = "corrupt";
  REQUIRE(ledger->artifacts_checked({row}, at(1)));
  const auto evidence = ledger->evidence("r").value();
  REQUIRE(evidence.size() == 1);
  CHECK(evidence[0].verdict == "corrupt");
  CHECK(evidence[0].at == at(1));
}

}  // namespace rgt
