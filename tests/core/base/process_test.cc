// SPDX-License-Identifier: MIT
#include "core/base/process.h"

#include <chrono>
#include <csignal>
#include <thread>

#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/base/files.h"
#include "core/base/text.h"
#include "tests/temporary_folder.h"

namespace rgt {
namespace {

using Steady = std::chrono::steady_clock;

ProcessOutcome run(ProcessSpec spec, std::stop_token stop = {}) {
  auto outcome = SystemProcessRunner().run(spec, stop);
  REQUIRE(outcome);
  return *outcome;
}

}  // namespace

TEST_CASE("Output, errors and the exit code of a program come back apart") {
  const ProcessOutcome outcome = run({.argv = {"sh", "-c", "echo out; echo err >&2; exit 5"}});
  CHECK(outcome.end == ProcessEnd::exited);
  CHECK(outcome.exit_code == 5);
  CHECK(outcome.out == "out\n");
  CHECK(outcome.err == "err\n");
}

TEST_CASE("Megabytes through a program do not block, whichever side is slower") {
  const std::string bytes(5000000, 'x');
  const ProcessOutcome outcome = run({.argv = {"cat"}, .input = bytes, .output_limit = 10u << 20});
  CHECK(outcome.out == bytes);
  CHECK(run({.argv = {"true"}, .input = bytes}).exit_code == 0);  // it never reads its input
}

TEST_CASE("A program that is not installed is named") {
  const auto outcome = SystemProcessRunner().run({.argv = {"no-such-program-here"}}, {});
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Code::missing_tool);
  CHECK(outcome.error().next.find("install") != std::string::npos);
}

TEST_CASE("A deadline ends the whole family of a program, also what ignores SIGTERM") {
  const TemporaryFolder folder;
  const auto start = Steady::now();
  const std::string pid_file = (folder.path() / "pid").string();
  const ProcessOutcome outcome =
      run({.argv = {"sh", "-c", "trap '' TERM; sleep 300 & echo $! > \"$1\"; wait", "sh", pid_file},
           .total_timeout = Milliseconds(500)});
  CHECK(outcome.end == ProcessEnd::timed_out);
  CHECK(Steady::now() - start < Seconds(10));
  const auto pid = parse_int(trim(read_file(pid_file, 100).value()));
  REQUIRE(pid);
  // Killed; a zombie may be left until init takes it, and a busy kernel needs a moment.
  const auto dead = [&] {
    const auto stat = read_file("/proc/" + std::to_string(*pid) + "/stat", 4096);
    return !stat.ok() || stat->find(") Z") != std::string::npos;
  };
  const auto until = Steady::now() + Seconds(10);
  while (!dead() && Steady::now() < until) std::this_thread::yield();
  CHECK(dead());
}

TEST_CASE("Silence is told from slowness") {
  CHECK(run({.argv = {"sleep", "30"}, .idle_timeout = Milliseconds(300)}).end ==
        ProcessEnd::idle_timed_out);
  const ProcessOutcome slow =
      run({.argv = {"sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done"},
           .idle_timeout = Seconds(5)});
  CHECK(slow.end == ProcessEnd::exited);
}

TEST_CASE("A stop request ends a program") {
  std::stop_source source;
  std::jthread stopper([&] { source.request_stop(); });
  CHECK(run({.argv = {"sleep", "30"}}, source.get_token()).end == ProcessEnd::cancelled);
}

TEST_CASE("A daemon that keeps our pipes open does not keep us") {
  const auto start = Steady::now();
  const ProcessOutcome outcome =
      run({.argv = {"sh", "-c", "sleep 20 & echo started"}, .total_timeout = Seconds(15)});
  CHECK(outcome.out == "started\n");
  CHECK(outcome.exit_code == 0);
  CHECK(Steady::now() - start < Seconds(10));
}

TEST_CASE("Values with shell characters are arguments and environment, never commands") {
  const ProcessOutcome outcome =
      run({.argv = {"sh", "-c", "printf '%s|%s' \"$1\" \"$X\"", "sh", "$(id); `id`"},
           .extra_environment = {{"X", "'; rm -rf /"}}});
  CHECK(outcome.out == "$(id); `id`|'; rm -rf /");
}

TEST_CASE("An exit code that the kernel threw away is an error, never 0") {
  // As a parent leaves it that ignores SIGCHLD before it starts us.
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  const auto lost = SystemProcessRunner().run({.argv = {"sh", "-c", "exit 7"}}, {});
  std::signal(SIGCHLD, before);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().message.find("SIGCHLD") != std::string::npos);
}

TEST_CASE("A program at the end of a socket talks both ways, and is gone with its object") {
  pid_t pid = 0;
  const auto start = Steady::now();
  {
    auto talk = SocketProcess::start(
        {"sh", "-c", "trap '' TERM HUP; echo oops >&2; echo $$; read -r x; echo got $x; sleep 60"});
    REQUIRE(talk);
    const int fd = (*talk)->release_socket();
    REQUIRE(::write(fd, "hello\n", 6) == 6);
    std::string said;
    char c = 0;
    while (said.find("hello") == std::string::npos && ::read(fd, &c, 1) == 1) said += c;
    pid = static_cast<pid_t>(parse_int(said.substr(0, said.find('\n'))).value());
    CHECK(said.find("got hello") != std::string::npos);
    CHECK((*talk)->errors() == "oops\n");
    ::close(fd);
  }
  CHECK(::kill(pid, 0) != 0);
  CHECK(Steady::now() - start < Seconds(10));
  CHECK(SocketProcess::start({"no-such-program-here"}).error().code == Code::missing_tool);
}

}  // namespace rgt
