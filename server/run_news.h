// SPDX-License-Identifier: MIT
// RunNews: follows the ledger, also what other rgt processes write to it, and tells a server's
// clients which recovery notes (rgt://runs/NAME) are new or have changed.
#pragma once

#include <thread>

#include "core/base/clock.h"
#include "core/ledger/ledger.h"
#include "server/mcp/changes.h"

namespace rgt {

class RunNews {
 public:
  // Both are borrowed and outlive this. `ledger` may be null: then there is no news. Looks every
  // `interval`; one small query of an open database.
  RunNews(Ledger* ledger, mcp::Changes& changes, Milliseconds interval = Seconds(2));

 private:
  void follow(std::stop_token stop);
  std::int64_t tell_since(std::int64_t last);

  Ledger* const ledger_;
  mcp::Changes& changes_;
  const Milliseconds interval_;
  std::jthread thread_ = {};
};

}  // namespace rgt
