// SPDX-License-Identifier: MIT
#include "server/doctor.h"

#include <cstdlib>
#include <iostream>

#include <unistd.h>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/handbook/freshness.h"
#include "server/print.h"

namespace rgt {
namespace {

struct Row {
  std::string id = {};
  bool fine = true;
  std::string measured = {};
  std::string fix = {};
};

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    if (::access((std::string(folder) + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Row program_row(const std::string& program, const std::string& what_for) {
  const bool there = on_path(program);
  return {"program:" + program, there, there ? "installed" : "missing",
          there ? "" : "apt-get install " + program + " (" + what_for + ")"};
}

Row ledger_row(const Environment& environment) {
  if (environment.ledger == nullptr)
    return {"ledger", false, environment.ledger_error.message, environment.ledger_error.next};
  const auto chain = environment.ledger->verify_chain();
  if (!chain) return {"ledger", false, chain.error().message, chain.error().next};
  return {
      "ledger", chain->intact,
      std::to_string(chain->events) + " events, " + (chain->intact ? "chain intact" : chain->why),
      chain->intact
          ? ""
          : "somebody or a broken disk changed the ledger: keep a copy of it and look at event " +
                std::to_string(chain->first_bad)};
}

Row state_row(const World& world) {
  const auto space = free_space(world.state());
  const bool room = space.ok() && space->bytes > (1ull << 30);
  return {
      "state", room,
      world.state().string() + ", " +
          (space ? human_bytes(space->bytes) + " free" : space.error().message),
      room ? ""
           : "pulled artifacts are kept there: free space, or set RGT_STATE_DIR to a larger disk"};
}

Row ssh_row() {
  const char* chosen = std::getenv("RGT_SSH_CONFIG");
  const char* home = std::getenv("HOME");
  const std::string file =
      chosen != nullptr ? chosen : std::string(home == nullptr ? "" : home) + "/.ssh/config";
  const bool there = ::access(file.c_str(), R_OK) == 0;
  return {"ssh_config", there || chosen == nullptr, file + (there ? "" : " is not there"),
          there ? "" : "boxes are Host aliases of this file; the local box needs none"};
}

}  // namespace

int doctor_facts(const Environment& environment, int max_age_months, bool json) {
  const Freshness freshness =
      check_freshness(environment.handbook.documents(), environment.clock.now(), max_age_months);
  Json stale = Json::array();
  for (const Stamp& stamp : freshness.stale) {
    stale.push_back({{"document", stamp.document},
                     {"line", stamp.line},
                     {"entry", stamp.entry},
                     {"verified", stamp.month},
                     {"age_months", stamp.age_months}});
    if (json) continue;
    std::cout << "STALE " << stamp.document << ":" << stamp.line
              << (stamp.entry.empty() ? "" : " " + stamp.entry) << "  verified " << stamp.month
              << (stamp.age_months < 0 ? ", in the future"
                                       : ", " + std::to_string(stamp.age_months) + " months ago")
              << "\n";
  }
  if (json)
    print_json({{"fine", stale.empty()}, {"stamps", freshness.stamps}, {"stale", stale}});
  else
    std::cout << freshness.stale.size() << " of " << freshness.stamps << " facts are older than "
              << max_age_months
              << (freshness.stale.empty()
                      ? " months\n"
                      : " months: compare them with their source, and renew the month\n");
  return freshness.stale.empty() ? 0 : 1;
}

int doctor(World& world, bool json) {
  Environment& environment = world.environment();
  std::vector<Row> rows{{"version", true, std::string("rgt ") + RGT_VERSION, ""},
                        {"handbook", true,
                         std::to_string(environment.handbook.documents().size()) + " documents, " +
                             std::to_string(environment.handbook.profiles().size()) + " profiles",
                         ""},
                        state_row(world),
                        ledger_row(environment),
                        ssh_row(),
                        program_row("ssh", "pulls go over it"),
                        program_row("rsync", "resumable pulls")};
  bool fine = true;
  Json list = Json::array();
  for (const Row& row : rows) {
    fine = fine && row.fine;
    list.push_back(
        {{"id", row.id}, {"fine", row.fine}, {"measured", row.measured}, {"fix", row.fix}});
    if (json) continue;
    std::cout << (row.fine ? "ok    " : "LOOK  ") << row.id << "  " << row.measured << "\n";
    if (!row.fix.empty()) std::cout << "      " << row.fix << "\n";
  }
  if (json) print_json({{"fine", fine}, {"checks", std::move(list)}});
  return fine ? 0 : 1;
}

}  // namespace rgt
