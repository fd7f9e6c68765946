// SPDX-License-Identifier: MIT
// Against a real sshd on loopback: what goes wrong with rented boxes, and that each ends in time
// with words that help.
#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include <catch2/catch.hpp>

#include "tests/core/box/transport/ssh_rig.h"

namespace rgt {

using Rig = SshRig;

TEST_CASE("A script runs on the box, and the next ones on the same connection") {
  Rig rig;
  const auto cold = rig.run("echo cold; exit 3");
  REQUIRE(cold);
  CHECK(cold->out == "cold\n");
  CHECK(cold->exit_code == 3);
  CHECK(cold->connected_anew);
  CHECK(rig.shell->host_key().starts_with("SHA256:"));
  for (int i = 0; i < 3; ++i) {
    const auto warm = rig.run("echo warm");
    REQUIRE(warm);
    CHECK_FALSE(warm->connected_anew);
    CHECK(warm->round_trips <= 2);  // see turns_test.cc
  }
}

TEST_CASE("Megabytes go both ways over ssh unharmed, and the bound holds") {
  Rig rig;
  std::string input(3000000, '\0');
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<char>(i * 31 >> 3);
  const auto echoed = rig.shell->run({.script = "cat", .input = input}, {});
  REQUIRE(echoed);
  CHECK(echoed->out == input);
  ScriptCall flood{.script = "yes | head -c 20000000"};
  flood.output_limit = 100000;
  const auto bounded = rig.shell->run(flood, {});
  REQUIRE(bounded);
  CHECK(bounded->truncated);
  CHECK(bounded->out.size() <= 100000);
}

TEST_CASE("An unknown host key is refused with its fingerprint and the way to accept it") {
  Rig rig;
  rig.sshd.write("known_hosts", "");
  const auto refused = rig.run("echo never");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::host_key_unknown);
  CHECK(refused.error().message.find("SHA256:") != std::string::npos);
  CHECK(refused.error().next.find("ssh -F") != std::string::npos);
}

TEST_CASE("StrictHostKeyChecking=no in the configuration does not weaken us") {
  Rig rig;
  rig.sshd.write("known_hosts", "");
  std::string config = rig.sshd.read("ssh_config");
  config.replace(config.find("StrictHostKeyChecking yes"), 25, "StrictHostKeyChecking no");
  rig.sshd.write("ssh_config", config);
  CHECK(rig.run("echo never").error().code == Code::host_key_unknown);
}

TEST_CASE("A changed host key is refused always") {
  Rig rig;
  REQUIRE(rig.run("true"));
  rig.sshd.stop();
  const std::string known = rig.sshd.read("known_hosts");
  rig.sshd.replace_host_key();
  rig.sshd.restart();
  rig.sshd.write("known_hosts", known);
  const auto refused = rig.run("echo never");
  REQUIRE_FALSE(refused);
  INFO(refused.error().message);
  CHECK(refused.error().code == Code::host_key_changed);
  CHECK(refused.error().message.find("CHANGED") != std::string::npos);
}

TEST_CASE("A key that the box does not know is refused with what was tried") {
  Rig rig;
  rig.sshd.write("authorized_keys", "");
  const auto refused = rig.run("echo never");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::auth_failed);
  CHECK(refused.error().next.find("ssh-add") != std::string::npos);
}

TEST_CASE(
    "A dead port, a silent port and an unknown name each end in time and say which they are") {
  SilentPort port;
  LoopbackSshd sshd;
  SystemProcessRunner processes;
  sshd.write("ssh_config",
             "Host silent\n  HostName 127.0.0.1\n  Port " + std::to_string(port.port()) + "\n");
  const auto boxes = make_boxes(sshd.settings(Milliseconds(700)), processes);
  const auto start = Steady::now();
  const auto silent = boxes->shell("silent").value()->run({.script = "true"}, {});
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == Code::unreachable);
  CHECK(silent.error().message.find("no answer within 1 s") != std::string::npos);
  port.close();
  const auto dead = boxes->shell("silent").value()->run({.script = "true"}, {});
  REQUIRE_FALSE(dead);
  CHECK(dead.error().code == Code::unreachable);
  CHECK(dead.error().message.find("refused") != std::string::npos);
  const auto unknown = boxes->shell("silnt").value()->run({.script = "true"}, {});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().next == "did you mean silent?");
  CHECK(seconds_since(start) < 10);
}

TEST_CASE("A box that freezes in the middle of a script is reported silent, and found again") {
  Rig rig(Milliseconds(1500));
  REQUIRE(rig.run("true"));
  std::jthread freezer([&] {
    if (rig.began()) rig.sshd.freeze();
  });
  const auto start = Steady::now();
  const auto silent = rig.run(rig.long_script(), Milliseconds(1500));
  freezer.join();
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == Code::unreachable);
  CHECK(seconds_since(start) < 10);
  CHECK(rig.run("true").error().code ==
        Code::unreachable);  // still frozen: a new connection is not answered
  rig.sshd.thaw();
  CHECK(rig.run("true").ok());
}

TEST_CASE("An sshd that dies under a script breaks that call only; the next one reconnects") {
  Rig rig;
  REQUIRE(rig.run("true"));
  std::jthread killer([&] {
    if (rig.began()) rig.sshd.stop();
  });
  const auto broken = rig.run(rig.long_script(), Seconds(10));
  killer.join();
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == Code::unreachable);
  rig.sshd.restart();
  const auto again = rig.run("echo back");
  REQUIRE(again);
  CHECK(again->out == "back\n");
  CHECK(again->connected_anew);
}

TEST_CASE("A warm connection whose box went away between calls is replaced without an error") {
  Rig rig;
  REQUIRE(rig.run("true"));
  rig.sshd.stop();
  rig.sshd.restart();
  const auto again = rig.run("echo back");
  INFO((again.ok() ? "" : again.error().message));
  REQUIRE(again);
  CHECK(again->connected_anew);
}

TEST_CASE("A stop request ends a call within a second, and one that waits for it too") {
  Rig rig;
  REQUIRE(rig.run("true"));
  std::stop_source working, waiting;
  std::atomic<bool> gave_up = false;
  std::jthread waiter([&] {
    if (!rig.began()) return;
    // The connection is taken for a minute: only the stop can end this one.
    gave_up = rig.run("true", Seconds(20), waiting.get_token()).error().code == Code::cancelled;
    working.request_stop();
  });
  std::jthread stopper([&] {
    if (rig.began()) waiting.request_stop();
  });
  const auto stopped = rig.run(rig.long_script(), Seconds(60), working.get_token(), Seconds(60));
  const auto since = Steady::now();
  waiter.join();
  CHECK(gave_up);
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == Code::cancelled);
  CHECK(seconds_since(since) < 3);
}

TEST_CASE("A stop request ends the reading of a flood, and the waiting for a hash on the box") {
  const std::string work =
      GENERATE(std::string("cat /dev/zero"), std::string("sha256sum /dev/zero"));
  Rig rig;
  std::stop_source source;
  Steady::time_point asked;
  std::jthread stopper([&] {
    if (!rig.began()) return;
    asked = Steady::now();
    source.request_stop();
  });
  const std::string script = "touch '" + rig.mark().string() + "'; timeout 60 " + work;
  const auto stopped = rig.run(script, Seconds(60), source.get_token(), Seconds(60));
  stopper.join();
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == Code::cancelled);
  CHECK(seconds_since(asked) < 3);
}

TEST_CASE("A call that waits for the box's connection ends at its own deadline") {
  Rig rig;
  std::stop_source source;
  std::jthread holder(
      [&] { (void)rig.run(rig.long_script(), Seconds(60), source.get_token(), Seconds(60)); });
  REQUIRE(rig.began());
  const auto late = rig.run("true", Seconds(5), {}, Milliseconds(500));
  source.request_stop();
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Code::timeout);
  CHECK(late.error().message.find("busy") != std::string::npos);
}

TEST_CASE("A script that dies of a signal on the box ends with 128 and the signal's number") {
  Rig rig;
  CHECK(rig.run("kill -TERM $$")->exit_code == 143);
  CHECK(rig.run("kill -KILL $$")->exit_code == 137);
  CHECK(rig.run("exit 7")->exit_code == 7);
}

TEST_CASE("A box without dd is said to lack it") {
  Rig rig;
  const std::string key = rig.sshd.read("authorized_keys");
  rig.sshd.write("authorized_keys",
                 "command=\"PATH=/nowhere /bin/sh -c \\\"$SSH_ORIGINAL_COMMAND\\\"\" " + key);
  const auto refused = rig.run("true");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::missing_tool);
  CHECK(refused.error().message.find("no dd") != std::string::npos);
}

TEST_CASE("Threads that ask one box at once are each answered with their own answer") {
  Rig rig;
  std::vector<std::jthread> threads;
  std::array<std::string, 6> answers;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto outcome =
          rig.shell->run({.script = "printf %s \"$1\"", .args = {std::to_string(i)}}, {});
      answers[i] = outcome.ok() ? outcome->out : outcome.error().message;
    });
  }
  threads.clear();
  for (std::size_t i = 0; i < answers.size(); ++i) CHECK(answers[i] == std::to_string(i));
}

TEST_CASE("A login shell that prints a banner does not disturb the answer") {
  Rig rig;
  const std::string key = rig.sshd.read("authorized_keys");
  rig.sshd.write("authorized_keys",
                 "command=\"echo WELCOME; eval \\\"$SSH_ORIGINAL_COMMAND\\\"\" " + key);
  const auto outcome = rig.run("echo answer");
  REQUIRE(outcome);
  CHECK(outcome->out == "answer\n");
}

TEST_CASE("Words that are no box name are refused before anything is started") {
  SystemProcessRunner processes;
  const auto boxes = make_boxes({}, processes);
  for (const char* name :
       {"", "-oProxyCommand=id", "a b", "a;b", "a\nb", "$(id)", "a/b", "[::1]"}) {
    CHECK(boxes->shell(name).error().code == Code::invalid_argument);
    CHECK(boxes->transfer(name).error().code == Code::invalid_argument);
  }
}

}  // namespace rgt
