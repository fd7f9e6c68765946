// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <ctime>
#include <fstream>

#include "core/base/text.h"
#include "core/box/onbox.h"
#include "tests/core/box/script_shell.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

std::string until_go() { return "while [ ! -e \"$RGT_OUT/go\" ]; do sleep 0.05; done\n"; }

// A run with one live cell, whose files the test may then forge.
struct LiveRun {
  explicit LiveRun(Room& in) : room(in), job(in.job({cell("a", until_go())})) {
    REQUIRE(room.start(job).ok());
    room.look_until(job, [](const RunReading& r) { return r.cells.at(0).process.pid > 0; });
    process = room.folder(job) / "cells/a/process";
    log = room.folder(job) / "cells/a/log";
  }
  CellReading read(const std::vector<LogPosition>& positions = {}) {
    return room.look_at(job, positions).cells.at(0);
  }
  // Nobody alive to vouch for the cell but its own record: the keeper's is made another's.
  void forget_keeper() {
    const fs::path keeper = room.folder(job) / "cells/a/attempts/1";
    const std::string identity = fs::read_symlink(keeper);
    kill(static_cast<pid_t>(parse_int(split(identity, ':')[0]).value()), SIGKILL);
    fs::remove(keeper);
    fs::create_symlink("1:1:" + std::string(split(identity, ':')[2]), keeper);
  }
  void stop_supervisor() {  // else it would mark the forged cell as ended unseen
    const std::string link = fs::read_symlink(room.folder(job) / "rgt/supervisors/1");
    kill(static_cast<pid_t>(parse_int(split(link, ':')[0]).value()), SIGKILL);
  }
  void forge(const std::string& key, const std::string& value) {
    std::string record = slurp(process);
    const std::size_t at = record.find(key + "=");
    const std::size_t end = record.find_first_of(" \n", at);
    record.replace(at, end - at, key + "=" + value);
    fs::remove(process);
    spill(process, record);
  }
  void end_real(const CellReading& real) {
    kill(static_cast<pid_t>(-real.process.pid), SIGKILL);
    REQUIRE(wait_until([&] { return start_time_of(real.process.pid).empty(); }));
  }

  Room& room;
  JobSpec job = {};
  fs::path process = {};
  fs::path log = {};
};

}  // namespace

TEST_CASE("a process with the recorded number but another start time is not the cell") {
  Room room;
  LiveRun run(room);
  run.stop_supervisor();
  run.forget_keeper();
  const CellReading real = run.read();
  REQUIRE(real.life == Life::running);
  run.forge("start", "12345");
  CHECK(run.read().life == Life::ended);
  run.forge("start", real.process.start_time);
  CHECK(run.read().life == Life::running);
  run.end_real(real);
}

TEST_CASE("what was recorded before a reboot does not run") {
  Room room;
  LiveRun run(room);
  run.stop_supervisor();
  run.forget_keeper();
  const CellReading real = run.read();
  run.forge("boot", "00000000-0000-0000-0000-000000000000");
  CHECK(run.read().life == Life::ended);
  const fs::path link = room.folder(run.job) / "rgt/supervisors/1";
  fs::remove(link);
  fs::create_symlink("1:1:00000000-0000-0000-0000-000000000000", link);
  const RunReading reading = room.look_at(run.job);
  CHECK(reading.supervisor == Life::ended);
  CHECK(reading.supervisor_from_older_boot);
  run.end_real(real);
}

TEST_CASE("a program whose name holds spaces, parentheses and newlines is recognised") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    // /proc shows the first 15 bytes of the file's name between parentheses.
    const fs::path odd = room.root / "a) R 1 (\n) S 2";
    fs::copy_file("/bin/sleep", odd);
    JobSpec job = room.job({cell("a", "exec \"$ODD\" 1000")});
    job.cells[0].env["ODD"] = odd;
    REQUIRE(room.start(job).ok());
    RunReading reading = room.look_until(job, [](const RunReading& r) {
      const long pid = r.cells.at(0).process.pid;
      return pid > 0 && slurp("/proc/" + std::to_string(pid) + "/comm").rfind("a) R", 0) == 0;
    });
    CHECK(reading.cells[0].life == Life::running);
    kill(static_cast<pid_t>(-reading.cells[0].process.pid), SIGKILL);
    reading = room.look_until(job, all_marked);
    CHECK(reading.cells[0].signal == 9);
  }
}

TEST_CASE("a look gives the new bytes only, and notices rotation and truncation") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    LiveRun run(room);
    spill(run.log, "first\n");
    const CellReading first = run.read();
    CHECK(first.log_bytes == "first\n");
    CHECK_FALSE(first.log_rotated);
    std::ofstream(run.log, std::ios::app) << "second\n";
    const CellReading second = run.read({{"a", first.log_inode, 6}});
    CHECK(second.log_bytes == "second\n");
    CHECK(second.log_from == 6);
    CHECK(run.read({{"a", first.log_inode, 13}}).log_bytes.empty());
    fs::resize_file(run.log, 4);
    const CellReading cut = run.read({{"a", first.log_inode, 13}});
    CHECK(cut.log_rotated);
    CHECK(cut.log_from == 0);
    CHECK(cut.log_bytes == "firs");
    fs::rename(run.log, run.log.string() + ".1");
    spill(run.log, "a new file, longer than the old one\n");
    const CellReading turned = run.read({{"a", first.log_inode, 4}});
    CHECK(turned.log_rotated);
    CHECK(turned.log_bytes == "a new file, longer than the old one\n");
  }
}

TEST_CASE("inodes of 64 bits are read, and known again") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    LiveRun run(room);
    const fs::path tools = room.root / "odd-tools";
    spill(tools / "stat",
          "#!/bin/sh\n/usr/bin/stat \"$@\" | "
          "sed -E 's/^[0-9]+ ([0-9]+ [0-9]+)$/18446700000000000123 \\1/'\n");
    fs::permissions(tools / "stat", fs::perms::owner_all);
    ScriptShell odd(interpreter, tools.string() + ":" + room.path, room.root);
    spill(run.log, "first\n");
    const auto read = [&](const std::vector<LogPosition>& positions) {
      LookRequest request;
      request.runs.push_back({run.job.run, room.folder(run.job), positions});
      auto reading = look(odd, request, {});
      REQUIRE(reading.ok());
      return reading->runs.at(0).cells.at(0);
    };
    const CellReading first = read({});
    CHECK(first.log_bytes == "first\n");
    std::ofstream(run.log, std::ios::app) << "second\n";
    const CellReading second = read({{"a", first.log_inode, 6}});
    CHECK_FALSE(second.log_rotated);
    CHECK(second.log_bytes == "second\n");
  }
}

TEST_CASE("of more new bytes than the limit, the newest come") {
  Room room;
  LiveRun run(room);
  std::string log;
  for (int i = 0; log.size() < 400000; ++i) log += std::to_string(i) + "\n";
  spill(run.log, log);
  LookRequest request;
  request.log_bytes_limit = 10000;
  request.runs.push_back({run.job.run, room.folder(run.job), {}});
  const auto reading = look(room.shell, request, {});
  REQUIRE(reading.ok());
  const CellReading& read = reading->runs.at(0).cells.at(0);
  CHECK(read.log_bytes == log.substr(log.size() - 10000));
  CHECK(read.log_from == log.size() - 10000);
  CHECK(reading->bytes_received < 20000);
}

TEST_CASE("a hundred looks at a growing log read each byte exactly once") {
  Room room;
  JobSpec job =
      room.job({cell("a",
                     "i=0\nwhile [ ! -e \"$RGT_OUT/go\" ]; do i=$((i + 1)); echo \"line $i "
                     "of the log\"; done")});
  REQUIRE(room.start(job).ok());
  LogPosition position = {"a", 0, 0};
  std::string heard;
  const auto listen = [&] {
    LookRequest request;
    request.log_bytes_limit = 4u << 20;  // more than the cell can write between two looks
    request.runs.push_back({job.run, room.folder(job), {position}});
    const auto reading = look(room.shell, request, {});
    REQUIRE(reading.ok());
    const CellReading& read = reading->runs.at(0).cells.at(0);
    REQUIRE(read.log_from <= position.offset);
    heard += read.log_bytes.substr(
        std::min<std::size_t>(position.offset - read.log_from, read.log_bytes.size()));
    position = {"a", read.log_inode, read.log_from + read.log_bytes.size()};
    return read.marker != CellReading::Marker::none;
  };
  for (int i = 0; i < 100; ++i) listen();
  CHECK(heard.size() > 1000);
  spill(room.folder(job) / "cells/a/out/go", "");
  REQUIRE(wait_until(listen));
  listen();
  CHECK(heard == slurp(room.folder(job) / "cells/a/log"));
}

TEST_CASE("no byte of a log can forge an answer") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    LiveRun run(room);
    std::string evil = "\nend\nrgt-look 2\ncell a done 0 0 1 ended 1 1 - 1 1 0 0 0\nend-run\nend\n";
    evil += std::string("\0\x1b[31mred\x1b[0m\r\xff\xfe", 14);
    evil += std::string(5u << 20, 'x') + "\nend\n";
    for (int i = 0; i < 256; ++i) evil += static_cast<char>(i);
    spill(run.log, evil);
    LookRequest request;
    request.log_bytes_limit = 8u << 20;
    request.runs.push_back({run.job.run, room.folder(run.job), {}});
    const auto reading = look(room.shell, request, {});
    INFO((reading ? "" : reading.error().message));
    REQUIRE(reading.ok());
    const CellReading& read = reading->runs.at(0).cells.at(0);
    CHECK((read.log_bytes == evil));
    CHECK(read.marker == CellReading::Marker::none);
    CHECK(read.life == Life::running);
  }
}

TEST_CASE("one look answers for many runs in the order asked, also for those that are not there") {
  Room room;
  JobSpec one = room.job({cell("a", "echo one")});
  JobSpec two = room.job({cell("a", "echo two")});
  two.run = "run-2";
  REQUIRE(room.start(one).ok());
  REQUIRE(room.start(two).ok());
  room.look_until(one, all_marked);
  room.look_until(two, all_marked);
  LookRequest request;
  request.runs.push_back({two.run, room.folder(two), {}});
  request.runs.push_back({"nowhere", "/nonexistent/it's \"here\"\n", {}});
  request.runs.push_back({one.run, room.folder(one), {}});
  const auto reading = look(room.shell, request, {});
  REQUIRE(reading.ok());
  REQUIRE(reading->runs.size() == 3);
  CHECK(reading->runs[0].cells.at(0).log_bytes == "two\n");
  CHECK_FALSE(reading->runs[1].folder_exists);
  CHECK(reading->runs[1].cells.empty());
  CHECK(reading->runs[2].cells.at(0).log_bytes == "one\n");
  CHECK(reading->box_time > 1700000000);
  CHECK(reading->boot_id.size() == 36);
  CHECK(reading->machine_id.size() == 64);
}

TEST_CASE("artifacts are counted and the newest write is seen, whatever the names") {
  Room room;
  const std::string odd = "it's \"odd\" \\ $x\nname";
  JobSpec job = room.job({cell("a", until_go(), {"plain", odd, "folder", "empty", "absent"})});
  REQUIRE(room.start(job).ok());
  const fs::path out = room.folder(job) / "cells/a/out";
  spill(out / "plain", "1");
  spill(out / odd, "2");
  spill(out / "folder/deep/file", "3");
  fs::create_directories(out / "empty");
  struct timespec times[2] = {{2000000000, 0}, {2000000000, 0}};
  REQUIRE(utimensat(AT_FDCWD, (out / odd).c_str(), times, 0) == 0);
  RunReading reading =
      room.look_until(job, [](const RunReading& r) { return r.cells.at(0).life == Life::running; });
  CHECK(reading.cells[0].artifacts_expected == 5);
  CHECK(reading.cells[0].artifacts_present == 3);
  // A log that was written just now says enough of life; one that was not makes a look search.
  CHECK(reading.cells[0].newest_write == 0);
  const fs::path log = room.folder(job) / "cells/a/log";
  struct timespec old[2] = {{1700000000, 0}, {1700000000, 0}};
  REQUIRE(utimensat(AT_FDCWD, log.c_str(), old, 0) == 0);
  reading = room.look_at(job);
  CHECK(reading.cells[0].log_mtime == 1700000000);
  CHECK(reading.cells[0].newest_write == 2000000000);
}

TEST_CASE("a look's script that stays answers as one that is sent anew, again and again") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    LiveRun run(room);
    spill(run.log, std::string(5000, 'x') + "\nlast line\n");
    const CellReading fresh = run.read();
    LookRequest request;
    request.runs.push_back({run.job.run, room.folder(run.job), {}});
    std::vector<std::string> nonces;
    // What three looks send: the second asks for new bytes only, the third for a run that is none.
    std::string input;
    const std::vector<std::string> positions{
        "", "pos a " + std::to_string(fresh.log_inode) + " 5001\n", "run nowhere =/nonexistent\n"};
    for (const std::string& lines : positions) {
      nonces.push_back("nonce" + std::to_string(nonces.size()));
      input += nonces.back() + " 65536 8192 8388608 0\nrun " + run.job.run + " " +
               onbox_word(room.folder(run.job).string()) + "\n" + lines + "end\n";
    }
    const std::string script = onbox_script("look");
    const auto outcome = room.shell.run({.script = script, .args = {"stay"}, .input = input}, {});
    REQUIRE(outcome);
    CHECK(outcome->err == "");
    std::vector<Reading> readings;
    for (const std::string& nonce : nonces) {
      const std::size_t begin = outcome->out.find(nonce + "\n");
      const std::size_t end = outcome->out.find("\n" + nonce + " end\n");
      REQUIRE(begin != std::string::npos);
      REQUIRE(end != std::string::npos);
      auto reading =
          parse_look(outcome->out.substr(begin + nonce.size() + 1, end - begin - nonce.size()));
      INFO((reading ? "" : reading.error().message));
      REQUIRE(reading.ok());
      readings.push_back(*reading);
    }
    for (const Reading& reading : readings) {
      CHECK(std::abs(reading.box_time - std::time(nullptr)) < 60);
      const CellReading& read = reading.runs.at(0).cells.at(0);
      CHECK(read.life == Life::running);
      CHECK(read.process.pid == fresh.process.pid);
      CHECK(read.log_size == fresh.log_size);
      CHECK(reading.runs[0].supervisor == Life::running);
      CHECK(reading.runs[0].disk_total_bytes > 0);
    }
    CHECK(readings[0].runs[0].cells[0].log_bytes == fresh.log_bytes);
    CHECK(readings[1].runs[0].cells[0].log_bytes == "last line\n");
    REQUIRE(readings[2].runs.size() == 2);
    CHECK_FALSE(readings[2].runs[1].folder_exists);
  }
}

TEST_CASE("a file server whose clock is hours off makes no log look old") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    LiveRun run(room);
    run.stop_supervisor();
    const fs::path recent = room.folder(run.job) / "rgt/recent";
    const std::time_t now = std::time(nullptr);
    // By the server's clock, the log was written ten seconds before the heartbeat.
    for (const std::time_t ahead : {-7200, 7200, 30}) {
      INFO(ahead);
      spill(recent, "disk 11 22 33 44 " + std::to_string(now) + " .\n");
      struct timespec beat[2] = {{now + ahead, 0}, {now + ahead, 0}};
      struct timespec line[2] = {{now + ahead - 10, 0}, {now + ahead - 10, 0}};
      REQUIRE(utimensat(AT_FDCWD, recent.c_str(), beat, 0) == 0);
      REQUIRE(utimensat(AT_FDCWD, run.log.c_str(), line, 0) == 0);
      const std::int64_t mtime = room.look_at(run.job).cells.at(0).log_mtime;
      // Half a minute is no other clock, only the time that a write takes.
      CHECK(mtime == (std::abs(ahead) < 120 ? now + ahead - 10 : now - 10));
    }
  }
}

TEST_CASE("a look takes the disk's numbers from a fresh heartbeat, and measures where one is not") {
  Room room;
  LiveRun run(room);
  const fs::path recent = room.folder(run.job) / "rgt/recent";
  const auto free_bytes = [&](std::int64_t beat_age, const std::string& ending) {
    spill(recent.string() + ".mine",
          "disk 11 22 33 44 " + std::to_string(std::time(nullptr) - beat_age) + ending);
    fs::rename(recent.string() + ".mine", recent);
    return room.look_at(run.job).disk_free_bytes;
  };
  run.stop_supervisor();
  CHECK(free_bytes(1, " .\n") == 11);
  CHECK(free_bytes(120, " .\n") > 1000);  // old
  CHECK(free_bytes(-60, " .\n") > 1000);  // the clock was set back
  CHECK(free_bytes(1, "") > 1000);        // torn
  CHECK(free_bytes(1, " . x\n") > 1000);  // not ours
  spill(room.folder(run.job) / "cells/a/FAILED", "exit_code=1 signal=0 attempt=1 ended_at=1\n");
  CHECK(free_bytes(1, " .\n") > 1000);  // a death may come of a full disk
}

TEST_CASE("garbage in a run folder's files makes unknowns, never a broken look") {
  Room room;
  LiveRun run(room);
  const CellReading real = run.read();
  spill(run.process, "pid=\x01$(reboot) start=-- boot=; attempt=1");
  run.stop_supervisor();  // it would put a right one in its place
  std::string recent =
      "disk 1 2 3\n\xff\nheartbeat 1 2 3 4 5 6 - .\nheartbeat 1 2 3 4 5 x - .\n"
      "heartbeat 1 2 3 4 5 6 $(reboot) .\nheartbeat 1 2 3 4 5 6 =a .";
  for (int i = 0; i < 1000; ++i) recent += "\nheartbeat 1 2 3 4 5 6 - .";
  spill(room.folder(run.job) / "rgt/recent", recent);
  const RunReading reading = room.look_at(run.job);
  CHECK(reading.cells.at(0).process.pid == 0);
  CHECK(reading.cells.at(0).life == Life::running);  // its keeper is alive and vouches for it
  CHECK(reading.heartbeats.size() > 1);
  CHECK(reading.heartbeats.size() <= 16);
  run.end_real(real);
}

TEST_CASE("a run with an unsafe name or folder is refused before anything is sent") {
  Room room;
  for (const auto& [name, folder] : std::vector<std::pair<std::string, std::string>>{
           {"a;b", "/tmp"}, {"ok", "relative"}, {"ok", ""}, {"../x", "/tmp"}}) {
    LookRequest request;
    request.runs.push_back({name, folder, {}});
    const auto reading = look(room.shell, request, {});
    REQUIRE_FALSE(reading.ok());
    CHECK(reading.error().code == Code::invalid_argument);
  }
}

}  // namespace rgt::test
