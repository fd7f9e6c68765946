// SPDX-License-Identifier: MIT
// An approval: one human's yes, to one request, about one set of evidence, for fifteen minutes,
// once.
#include <thread>

#include "core/gate/gate.h"
#include "tests/core/ledger/ledger_fixture.h"

namespace rgt {

TEST_CASE("An approval is used exactly once") {
  const TemporaryFolder folder;
  const auto ledger = open_ledger(folder.path());
  REQUIRE(ledger->teardown_requested(waiting_request("td-1"), at(0)));
  CHECK(ledger->use_approval("td-1", "e1", at(1)).error().code ==
        Code::refused);  // nobody approved
  REQUIRE(ledger->approve("td-1", "e1", "terminal", "me", kApprovalLifetime, at(2)));
  CHECK(ledger->approve("td-1", "e1", "terminal", "me", kApprovalLifetime, at(3)).error().code ==
        Code::refused);
  REQUIRE(ledger->use_approval("td-1", "e1", at(4)));
  CHECK(ledger->use_approval("td-1", "e1", at(5)).error().code == Code::refused);
}

TEST_CASE("An approval dies with its evidence and with its time") {
  const TemporaryFolder folder;
  const auto ledger = open_ledger(folder.path());
  REQUIRE(ledger->teardown_requested(waiting_request("td-1"), at(0)));
  CHECK(ledger->approve("td-1", "e2", "form", "me", kApprovalLifetime, at(1)).error().code ==
        Code::refused);
  CHECK(ledger->approve("td-1", "", "form", "me", kApprovalLifetime, at(1)).error().code ==
        Code::refused);
  REQUIRE(ledger->approve("td-1", "e1", "form", "me", kApprovalLifetime, at(1)));
  CHECK(ledger->use_approval("td-1", "e2", at(2)).error().code == Code::refused);
  CHECK(ledger->use_approval("td-1", "", at(2)).error().code == Code::refused);
  const auto late = ledger->use_approval("td-1", "e1", at(1) + kApprovalLifetime);
  REQUIRE_FALSE(late);
  CHECK(late.error().message.find("expired") != std::string::npos);
}

TEST_CASE("Unknown, blocked and denied requests cannot be approved") {
  const TemporaryFolder folder;
  const auto ledger = open_ledger(folder.path());
  CHECK(ledger->approve("td-9", "e1", "form", "me", kApprovalLifetime, at(0)).error().code ==
        Code::not_found);
  TeardownRecord blocked = waiting_request("td-1");
  blocked.state = RequestState::blocked;
  REQUIRE(ledger->teardown_requested(blocked, at(0)));
  CHECK(ledger->approve("td-1", "e1", "form", "me", kApprovalLifetime, at(1)).error().code ==
        Code::refused);
  REQUIRE(ledger->teardown_requested(waiting_request("td-2"), at(2)));
  REQUIRE(ledger->deny("td-2", "form", at(3)));
  CHECK(ledger->approve("td-2", "e1", "form", "me", kApprovalLifetime, at(4)).error().code ==
        Code::refused);
}

TEST_CASE("Of many that use one approval at once exactly one may act") {
  const TemporaryFolder folder;
  {
    const auto ledger = open_ledger(folder.path());
    REQUIRE(ledger->teardown_requested(waiting_request("td-1"), at(0)));
    REQUIRE(ledger->approve("td-1", "e1", "terminal", "me", kApprovalLifetime, at(1)));
  }
  std::atomic<int> used = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      auto own = Ledger::open(folder.path());
      if (own && (*own)->use_approval("td-1", "e1", at(2))) ++used;
    });
  }
  threads.clear();
  CHECK(used == 1);
}

}  // namespace rgt
