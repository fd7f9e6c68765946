// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>

#include "core/ledger/ledger.h"
#include "tests/temporary_folder.h"

namespace rgt {

inline std::unique_ptr<Ledger> open_ledger(const std::filesystem::path& folder) {
  auto ledger = Ledger::open(folder);
  INFO((ledger.ok() ? "" : ledger.error().message));
  REQUIRE(ledger.ok());
  return std::move(*ledger);
}

inline RunRecord run_record(const std::string& run, const std::string& digest = "d1") {
  return {.run = run, .box = "box", .profile = "local", .spec = "{}", .spec_digest = digest};
}

inline Time at(std::int64_t seconds) { return from_unix(1800000000 + seconds); }

inline TeardownRecord waiting_request(const std::string& request,
                                      const std::string& evidence = "e1") {
  return {.request = request,
          .box = "box",
          .action = "hand_over",
          .verb = "stop it",
          .irreversible = true,
          .evidence_digest = evidence,
          .state = RequestState::waiting};
}

}  // namespace rgt
