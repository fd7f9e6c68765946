// SPDX-License-Identifier: MIT
// kill -9 at any instant: what was acknowledged is there, and the chain is whole.
#include <csignal>
#include <random>

#include <poll.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/core/ledger/ledger_fixture.h"

namespace rgt {
namespace {

// Writes claims for ever and says on the pipe which were acknowledged.
[[noreturn]] void write_for_ever(const std::filesystem::path& folder, int round, int pipe_end) {
  auto ledger = Ledger::open(folder);
  for (std::int32_t i = 0; ledger.ok(); ++i) {
    const auto claim = (*ledger)->claim_run(
        run_record("r" + std::to_string(round) + "-" + std::to_string(i)), at(i));
    if (!claim || ::write(pipe_end, &i, sizeof i) != sizeof i) break;
  }
  ::_exit(1);
}

}  // namespace

TEST_CASE("A writer killed at any instant loses nothing that it had acknowledged") {
  const TemporaryFolder folder;
  open_ledger(folder.path());
  std::mt19937 random(5);
  for (int round = 0; round < 25; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) write_for_ever(folder.path(), round, ends[1]);
    ::close(ends[1]);
    // After some acknowledged writes, at a moment that has nothing to do with them.
    std::int32_t acknowledged = -1;
    const int wanted = static_cast<int>(random() % 5);
    while (acknowledged < wanted &&
           ::read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
    }
    ::poll(nullptr, 0, static_cast<int>(random() % 8));
    ::kill(child, SIGKILL);
    while (::read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
    }
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    const auto ledger = open_ledger(folder.path());
    CHECK(ledger->verify_chain()->intact);
    for (std::int32_t i = 0; i <= acknowledged; ++i) {
      CHECK(ledger->find_run("r" + std::to_string(round) + "-" + std::to_string(i))->has_value());
    }
  }
}

TEST_CASE("A ledger that is up to date opens while another process is writing to it") {
  const TemporaryFolder folder;
  open_ledger(folder.path());
  sqlite3* writer = nullptr;
  REQUIRE(sqlite3_open((folder.path() / "ledger.sqlite3").c_str(), &writer) == SQLITE_OK);
  REQUIRE(sqlite3_exec(writer, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  CHECK(Ledger::open(folder.path()).ok());
  sqlite3_close(writer);
}

TEST_CASE("Processes that write at once lose no event") {
  const TemporaryFolder folder;
  open_ledger(folder.path());
  std::vector<pid_t> children;
  for (int process = 0; process < 4; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto ledger = Ledger::open(folder.path());
      for (int i = 0; ledger.ok() && i < 25; ++i) {
        if (!(*ledger)->box_seen("box" + std::to_string(process), "local", "m", "k", at(i)))
          ::_exit(1);
      }
      ::_exit(ledger.ok() ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  const auto report = open_ledger(folder.path())->verify_chain().value();
  CHECK(report.intact);
  CHECK(report.events == 100);
}

}  // namespace rgt
