// SPDX-License-Identifier: MIT
#include "server/run_news.h"

#include <set>
#include <string>

#include "core/base/sleeper.h"

namespace rgt {
namespace {

constexpr std::size_t kBatch = 500;  // events of one look; the next look takes the rest

}  // namespace

RunNews::RunNews(Ledger* ledger, mcp::Changes& changes, Milliseconds interval)
    : ledger_(ledger), changes_(changes), interval_(interval) {
  if (ledger_ != nullptr) thread_ = std::jthread([this](std::stop_token stop) { follow(stop); });
}

void RunNews::follow(std::stop_token stop) {
  const auto chain = ledger_->newest_event();
  std::int64_t last = chain ? *chain : 0;
  SystemSleeper sleeper;
  while (sleeper.sleep(interval_, stop)) last = tell_since(last);
}

std::int64_t RunNews::tell_since(std::int64_t last) {
  const auto events = ledger_->events(last, kBatch);
  if (!events) return last;  // busy or gone; the next look tries again
  std::set<std::string> runs;
  bool is_new = false;
  for (const Event& event : *events) {
    last = event.sequence;
    if (event.run.empty()) continue;
    runs.insert(event.run);
    is_new = is_new || event.kind == "run_claimed";
  }
  if (is_new) changes_.tell({mcp::Change::Kind::resources, ""});
  for (const std::string& run : runs)
    changes_.tell({mcp::Change::Kind::resource, "rgt://runs/" + run});
  return last;
}

}  // namespace rgt
