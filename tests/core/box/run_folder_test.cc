// SPDX-License-Identifier: MIT
#include <signal.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "core/base/text.h"
#include "core/box/local_shell.h"
#include "core/box/manifest.h"
#include "core/box/survey.h"
#include "tests/core/box/script_shell.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

using Marker = CellReading::Marker;

bool all_running(const RunReading& reading) {
  for (const CellReading& one : reading.cells) {
    if (one.life != Life::running || one.process.pid == 0) return false;
  }
  return !reading.cells.empty();
}

long supervisor_pid(const StartReport& report) {
  return parse_int(split(report.supervisor, ' ')[0]).value_or(0);
}

std::size_t count_links(const fs::path& folder) {
  std::error_code ignored;
  std::size_t count = 0;
  for (const auto& link : fs::directory_iterator(folder, ignored))
    count += link.is_symlink() ? 1 : 0;
  return count;
}

// A command that runs until the test makes the file `go` in its write path.
std::string until_go(const std::string& then = "exit 0") {
  return "echo started\nwhile [ ! -e \"$RGT_OUT/go\" ]; do sleep 0.05; done\n" + then + "\n";
}

void let_go(const Room& room, const JobSpec& job, const std::string& cell) {
  spill(room.folder(job) / "cells" / cell / "out/go", "");
}

void kill_supervisor(const StartReport& report) {
  const long pid = supervisor_pid(report);
  REQUIRE(pid > 1);
  kill(static_cast<pid_t>(pid), SIGKILL);
  REQUIRE(wait_until([&] { return start_time_of(pid).empty(); }));
}

}  // namespace

TEST_CASE("a run of three cells converges to their markers, under every sh") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    JobSpec job = room.job({cell("good", "echo \"$RGT_RUN/$RGT_CELL/$RGT_ATTEMPT\"; pwd"),
                            cell("bad", "echo to-stderr >&2; exit 3"),
                            cell("env", "printf '%s' \"$GREETING\" >\"$RGT_OUT/greeting\"")});
    job.cells[2].env["GREETING"] = "it's \"$HOME\" \\ `x`\n two lines ";
    const auto report = room.start(job);
    INFO((report ? "" : report.error().message));
    REQUIRE(report.ok());
    CHECK(report->started);
    CHECK(report->folder == room.folder(job));
    CHECK(report->cells_started == std::vector<std::string>{"good", "bad", "env"});
    const RunReading reading = room.look_until(
        job, [](const RunReading& r) { return all_marked(r) && r.supervisor_finished; });
    CHECK(reading.spec_digest == job_digest(job));
    CHECK(cell_named(reading, "good").marker == Marker::done);
    CHECK(cell_named(reading, "good").exit_code == 0);
    CHECK(cell_named(reading, "good").attempt == 1);
    CHECK(cell_named(reading, "good").started_at > 0);
    const std::string out = room.folder(job) / "cells/good/out";
    CHECK(cell_named(reading, "good").log_bytes == "run-1/good/1\n" + out + "\n");
    CHECK(cell_named(reading, "bad").marker == Marker::failed);
    CHECK(cell_named(reading, "bad").exit_code == 3);
    CHECK(cell_named(reading, "bad").signal == 0);
    CHECK(cell_named(reading, "bad").log_bytes == "to-stderr\n");
    CHECK(slurp(room.folder(job) / "cells/env/out/greeting") == job.cells[2].env["GREETING"]);
    CHECK_FALSE(reading.heartbeats.empty());
    CHECK(reading.heartbeats.back().disk_free_bytes > 0);
    CHECK(wait_until([&] { return start_time_of(supervisor_pid(*report)).empty(); }));
  }
}

TEST_CASE("starting the same job again finds the run; another job under its name is a conflict") {
  Room room;
  JobSpec job = room.job({cell("a", until_go())});
  REQUIRE(room.start(job).ok());
  const auto again = room.start(job);
  REQUIRE(again.ok());
  CHECK_FALSE(again->started);
  CHECK(again->cells_started.empty());
  JobSpec other = job;
  other.cells[0].command += "# changed";
  const auto refused = room.start(other);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::conflict);
  CHECK(refused.error().message.find(job_digest(job)) != std::string::npos);
  CHECK(refused.error().message.find(job_digest(other)) != std::string::npos);
  let_go(room, job, "a");
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  const auto after = room.start(job);
  REQUIRE(after.ok());
  CHECK_FALSE(after->started);
}

TEST_CASE("a folder that holds someone else's files is not taken") {
  Room room;
  JobSpec job = room.job({cell("a", "true")});
  spill(room.folder(job) / "thesis.txt", "mine");
  const auto refused = room.start(job);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::conflict);
  CHECK(slurp(room.folder(job) / "thesis.txt") == "mine");
}

TEST_CASE("concurrent starts of one job make exactly one supervisor and one attempt") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    JobSpec job = room.job({cell("a", until_go()), cell("b", until_go())});
    std::vector<Result<StartReport>> reports;
    for (int i = 0; i < 4; ++i) reports.push_back(Error{});
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < reports.size(); ++i) {
      threads.emplace_back([&, i] {
        ScriptShell own(interpreter, room.path, room.root);
        reports[i] = start_run(own, job, false, {}, {});
      });
    }
    for (std::thread& thread : threads) thread.join();
    int started = 0;
    for (const auto& report : reports) {
      INFO((report ? "" : report.error().message));
      REQUIRE(report.ok());
      started += report->started ? 1 : 0;
      CHECK(report->supervisor == reports[0]->supervisor);
    }
    CHECK(started == 1);
    room.look_until(job, all_running);
    CHECK(count_links(room.folder(job) / "rgt/supervisors") == 1);
    CHECK(count_links(room.folder(job) / "cells/a/attempts") == 1);
    CHECK(slurp(room.folder(job) / "cells/a/log") == "started\n");
  }
}

TEST_CASE("a start that died between storing the job and starting it is finished by the next") {
  Room room;
  JobSpec job = room.job({cell("a", "echo once")});
  REQUIRE(room.start(job).ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  // What the folder looks like when the connection died right after the job was stored.
  fs::remove_all(room.folder(job) / "cells");
  fs::remove_all(room.folder(job) / "rgt/supervisors");
  fs::remove(room.folder(job) / "rgt/ready.1");
  fs::remove(room.folder(job) / "rgt/END.1");
  fs::create_directories(room.folder(job) / "rgt/stage.7/job");
  const auto report = room.start(job);
  REQUIRE(report.ok());
  CHECK(report->started);
  CHECK_FALSE(fs::exists(room.folder(job) / "rgt/stage.7"));
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  CHECK(slurp(room.folder(job) / "cells/a/log") == "once\n");
}

TEST_CASE("input that was cut off anywhere starts nothing, and the next start is right") {
  struct Cutting final : Shell {
    Shell& inner;
    std::size_t keep;
    Cutting(Shell& shell, std::size_t bytes) : inner(shell), keep(bytes) {}
    Result<ScriptOutcome> run(const ScriptCall& call, std::stop_token stop) override {
      ScriptCall cut = call;
      cut.input.resize(std::min(keep, cut.input.size() - 1));
      return inner.run(cut, stop);
    }
    std::string host_key() const override { return "local"; }
  };
  Room room;
  JobSpec job = room.job({cell("a", "echo once")});
  for (std::size_t keep : {0u, 5u, 12u, 40u, 300u, 9000u, 1u << 20}) {
    INFO(keep);
    Cutting shell(room.shell, keep);
    const auto cut = start_run(shell, job, false, {}, {});
    REQUIRE_FALSE(cut.ok());
    INFO(cut.error().message);
    CHECK(cut.error().code == Code::remote_failed);
    CHECK(cut.error().message.find("cut off") != std::string::npos);
    CHECK_FALSE(fs::exists(room.folder(job) / "rgt/job"));
    CHECK(count_links(room.folder(job) / "rgt/supervisors") == 0);
  }
  REQUIRE(room.start(job).ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  CHECK(slurp(room.folder(job) / "cells/a/log") == "once\n");
}

TEST_CASE("a start killed at any instant is finished by the next, and no cell starts twice") {
  int cut_short = 0;
  for (int delay = 0; delay < 200; delay += 9) {
    INFO(delay);
    Room room(interpreters()[static_cast<std::size_t>(delay / 9) % interpreters().size()]);
    JobSpec job = room.job({cell("a", "echo once"), cell("b", "echo once")});
    job.secret_env = {"TOKEN"};
    job.detach = delay % 2 == 0 ? Detach::automatic : Detach::nohup;
    ScriptShell dying(room.interpreter, room.path, room.root);
    dying.kill_after = std::chrono::milliseconds(delay);
    cut_short += start_run(dying, job, false, {{"TOKEN", "s"}}, {}).ok() ? 0 : 1;
    const auto report = room.start(job, false, {{"TOKEN", "s"}});
    INFO((report ? "" : report.error().message));
    REQUIRE(report.ok());
    room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
    for (const char* name : {"a", "b"}) {
      CHECK(slurp(room.folder(job) / "cells" / name / "log") == "once\n");
      CHECK(count_links(room.folder(job) / "cells" / name / "attempts") == 1);
    }
    CHECK(wait_until([&] { return !fs::exists(room.folder(job) / "rgt/secrets.1"); }));
  }
  CHECK(cut_short > 0);
}

TEST_CASE("a killed cell is FAILED with its signal, and resume gives it a second attempt") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    JobSpec job = room.job({cell("victim", until_go()), cell("other", until_go())});
    REQUIRE(room.start(job).ok());
    const RunReading before = room.look_until(job, all_running);
    kill(static_cast<pid_t>(-cell_named(before, "victim").process.pid), SIGKILL);
    const RunReading after = room.look_until(
        job, [](const RunReading& r) { return cell_named(r, "victim").marker == Marker::failed; });
    CHECK(cell_named(after, "victim").signal == 9);
    CHECK(cell_named(after, "victim").life == Life::ended);
    CHECK(cell_named(after, "other").life == Life::running);
    const auto resumed = room.start(job, true);  // while the supervisor still watches `other`
    INFO((resumed ? "" : resumed.error().message));
    REQUIRE(resumed.ok());
    CHECK(resumed->started);
    CHECK(resumed->cells_started == std::vector<std::string>{"victim"});
    const RunReading second = room.look_until(job, [](const RunReading& r) {
      return cell_named(r, "victim").life == Life::running && cell_named(r, "victim").attempt == 2;
    });
    CHECK(cell_named(second, "victim").marker == Marker::none);
    CHECK(cell_named(second, "other").process.pid == cell_named(before, "other").process.pid);
    CHECK(fs::exists(room.folder(job) / "cells/victim/FAILED.1"));
    let_go(room, job, "victim");
    let_go(room, job, "other");
    const RunReading end =
        room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
    CHECK(cell_named(end, "victim").marker == Marker::done);
    CHECK(cell_named(end, "victim").attempt == 2);
    CHECK(count_links(room.folder(job) / "rgt/supervisors") == 1);
  }
}

TEST_CASE("when the supervisor is killed its cells live on, are seen, and are not started twice") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    JobSpec job =
        room.job({cell("a", until_go()), cell("b", until_go("exit 4")), cell("c", "true")});
    job.parallel = 2;
    const auto report = room.start(job);
    REQUIRE(report.ok());
    const RunReading before = room.look_until(job, [](const RunReading& r) {
      return cell_named(r, "a").life == Life::running && cell_named(r, "b").life == Life::running;
    });
    kill_supervisor(*report);
    const RunReading orphaned = room.look_at(job);
    CHECK(orphaned.supervisor == Life::ended);
    CHECK_FALSE(orphaned.supervisor_finished);
    CHECK(cell_named(orphaned, "a").life == Life::running);
    CHECK(cell_named(orphaned, "c").attempt == 0);
    let_go(room, job, "b");  // its keeper is still there to write what became of it
    const RunReading marked = room.look_until(
        job, [](const RunReading& r) { return cell_named(r, "b").marker == Marker::failed; });
    CHECK(cell_named(marked, "b").exit_code == 4);
    const auto unasked = room.start(job);
    REQUIRE(unasked.ok());
    CHECK_FALSE(unasked->started);
    const auto resumed = room.start(job, true);
    INFO((resumed ? "" : resumed.error().message));
    REQUIRE(resumed.ok());
    CHECK(resumed->started);
    CHECK(resumed->cells_started == std::vector<std::string>{"b", "c"});
    const RunReading after =
        room.look_until(job, [](const RunReading& r) { return cell_named(r, "b").attempt == 2; });
    CHECK(cell_named(after, "a").process.pid == cell_named(before, "a").process.pid);
    CHECK(cell_named(after, "a").attempt == 1);
    let_go(room, job, "a");
    room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
    CHECK(slurp(room.folder(job) / "cells/a/log") == "started\n");
  }
}

TEST_CASE("a supervisor killed at any instant: resume finishes the run, no attempt is run twice") {
  for (int delay = 0; delay < 120; delay += 10) {
    INFO(delay);
    Room room(interpreters()[static_cast<std::size_t>(delay / 10) % interpreters().size()]);
    JobSpec job = room.job({cell("a", "echo $RGT_ATTEMPT"), cell("b", "echo $RGT_ATTEMPT"),
                            cell("c", "sleep 0.2; echo $RGT_ATTEMPT")});
    job.parallel = 2;
    const auto report = room.start(job);
    REQUIRE(report.ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));  // the instant, not a condition
    kill(static_cast<pid_t>(supervisor_pid(*report)), SIGKILL);
    REQUIRE(room.start(job, true).ok());
    room.look_until(
        job, [](const RunReading& r) { return all_marked(r) && r.supervisor != Life::running; });
    for (const char* name : {"a", "b", "c"}) {
      const std::string log = slurp(room.folder(job) / "cells" / name / "log");
      INFO(name << ": " << log);
      CHECK(fs::exists(room.folder(job) / "cells" / name / "DONE"));
      CHECK((log == "1\n" || log == "2\n"));  // 2: the first was killed before it began
    }
  }
}

TEST_CASE("a cell whose keeper was killed is watched on, and its unseen end is an unknown code") {
  Room room;
  JobSpec job = room.job({cell("a", until_go())});
  REQUIRE(room.start(job).ok());
  room.look_until(job, all_running);
  const std::string keeper = fs::read_symlink(room.folder(job) / "cells/a/attempts/1");
  kill(static_cast<pid_t>(parse_int(split(keeper, ':')[0]).value()), SIGKILL);
  CHECK(room.look_at(job).cells.at(0).life == Life::running);
  let_go(room, job, "a");
  const RunReading end =
      room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  CHECK(end.cells.at(0).marker == Marker::failed);
  CHECK(end.cells.at(0).exit_code == -1);
}

TEST_CASE("resume refuses a new attempt beside processes that the failed one left behind") {
  Room room;
  JobSpec job = room.job({cell("a", "sleep 1000 & echo $! >\"$RGT_OUT/child\"; exit 1")});
  REQUIRE(room.start(job).ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  const auto refused = room.start(job, true);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::refused);
  CHECK(refused.error().next.find("kill -9 -- -") != std::string::npos);
  const long child = std::stol(slurp(room.folder(job) / "cells/a/out/child"));
  kill(static_cast<pid_t>(child), SIGKILL);
  REQUIRE(wait_until([&] { return start_time_of(child).empty(); }));
  const auto resumed = room.start(job, true);
  REQUIRE(resumed.ok());
  CHECK(resumed->cells_started == std::vector<std::string>{"a"});
  const RunReading second =
      room.look_until(job, [](const RunReading& r) { return cell_named(r, "a").attempt == 2; });
  CHECK(second.cells.size() == 1);
  kill(static_cast<pid_t>(std::stol(slurp(room.folder(job) / "cells/a/out/child"))), SIGKILL);
}

TEST_CASE("SIGTERM and SIGHUP to the supervisor leave the cells alone") {
  Room room;
  JobSpec job = room.job({cell("a", until_go()), cell("b", "true")});
  job.parallel = 1;
  const auto report = room.start(job);
  REQUIRE(report.ok());
  room.look_until(job, [](const RunReading& r) { return cell_named(r, "a").process.pid > 0; });
  kill(static_cast<pid_t>(supervisor_pid(*report)), SIGHUP);
  kill(static_cast<pid_t>(supervisor_pid(*report)), SIGTERM);
  let_go(room, job, "a");
  const RunReading end =
      room.look_until(job, [](const RunReading& r) { return r.supervisor == Life::ended; });
  CHECK(cell_named(end, "a").marker == Marker::done);
  CHECK(cell_named(end, "b").attempt == 0);  // told to stop: it started nothing more
  CHECK_FALSE(end.supervisor_finished);
}

TEST_CASE("cells run at most `parallel` at once, in order, and each end is noticed at once") {
  Room room;
  std::vector<CellSpec> cells;
  for (int i = 0; i < 12; ++i) {
    cells.push_back(cell("c" + std::to_string(i), "echo $RGT_CELL >>\"$RGT_RUN_DIR/order\""));
  }
  JobSpec job = room.job(cells);
  job.parallel = 1;
  job.heartbeat_seconds = 3600;
  REQUIRE(room.start(job).ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  std::string expected;
  for (const CellSpec& one : cells) expected += one.name + "\n";
  CHECK(slurp(room.folder(job) / "order") == expected);
}

TEST_CASE("without tmux the run is kept by nohup; asking for tmux by name then fails") {
  Room room;
  ScriptShell bare(room.interpreter, room.path_without({"tmux"}), room.root);
  JobSpec job = room.job({cell("a", "true")});
  job.detach = Detach::tmux;
  const auto refused = start_run(bare, job, false, {}, {});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::missing_tool);
  job.detach = Detach::automatic;
  const auto report = start_run(bare, job, false, {}, {});
  INFO((report ? "" : report.error().message));
  REQUIRE(report.ok());
  CHECK(report->detach == "nohup");
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
}

TEST_CASE("through the local shell a whole run works, and cells keep the person's own locale") {
  Room room;
  SystemProcessRunner processes;
  LocalShell shell(processes);
  JobSpec job = room.job({cell("a", "echo \"${LC_ALL-none}\"; echo w >\"$RGT_OUT/w\"", {"w"})});
  const auto report = start_run(shell, job, false, {}, {});
  INFO((report ? "" : report.error().message));
  REQUIRE(report.ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  LookRequest request;
  request.runs.push_back({job.run, report->folder, {}});
  const auto reading = look(shell, request, {});
  INFO((reading ? "" : reading.error().message));
  REQUIRE(reading.ok());
  CHECK(reading->runs.at(0).cells.at(0).log_bytes == "none\n");
  CHECK(reading->round_trips == 1);
  const auto manifest = take_manifest(shell, report->folder, job, Seconds(60), {});
  INFO((manifest ? "" : manifest.error().message));
  REQUIRE(manifest.ok());
  CHECK(manifest->entries.at(0).present);
  const auto found = survey(shell, {{room.root.string()}}, {});
  INFO((found ? "" : found.error().message));
  REQUIRE(found.ok());
  CHECK(found->mounts.at(0).writable);
}

TEST_CASE("where tmux is there it keeps the run") {
  if (!fs::exists("/usr/bin/tmux")) {
    WARN("skipped: this machine has no tmux");
    return;
  }
  Room room;
  JobSpec job = room.job({cell("a", "true")});
  const auto report = room.start(job);
  REQUIRE(report.ok());
  CHECK(report->detach == "tmux");
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
}

}  // namespace rgt::test
