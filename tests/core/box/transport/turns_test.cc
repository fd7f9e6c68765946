// SPDX-License-Identifier: MIT
// How often we wait for a box far away, counted in turns on a proxy and not in time. Chance (a busy
// machine) can only add turns, so the fewest of a few tries is what the protocol needs.
#include <algorithm>
#include <functional>

#include <catch2/catch.hpp>

#include "tests/core/box/transport/ssh_rig.h"

namespace rgt {

using Rig = SshRig;
namespace {

constexpr Milliseconds kEachWay(20);  // longer than either side takes to react on a calm machine

int fewest_turns(DelayProxy& proxy, int goal, int most_tries, const std::function<void()>& action) {
  int fewest = 1000;
  for (int tries = 0; tries < most_tries && fewest > goal; ++tries) {
    proxy.reset_counts();
    action();
    fewest = std::min(fewest, proxy.turns());
  }
  return fewest;
}

// Until the box answered once more than it had, which the keeper asked for; or for so long that
// nothing can be under way any more.
void let_settle(const DelayProxy& proxy) {
  const int had = proxy.turns();
  const auto until = Steady::now() + 20 * kEachWay;
  while (proxy.turns() <= had && Steady::now() < until) std::this_thread::yield();
}

SshSettings warm(SshSettings settings) {
  settings.keep_warm = true;
  return settings;
}

}  // namespace

TEST_CASE("A warm call is one request and one answer, also with arguments, input and much output") {
  FarRig rig(kEachWay);
  const auto boxes = make_boxes(warm(rig.sshd.settings(Seconds(10))), rig.processes);
  const auto shell = boxes->shell(LoopbackSshd::kAlias).value();
  const std::string input(100000, 'i');
  const auto call = [&] {
    const auto outcome = shell->run(
        {.script = "cat; printf %s \"$1\" >&2; exit 3", .args = {"words"}, .input = input}, {});
    REQUIRE(outcome);
    CHECK(outcome->out == input);
    CHECK(outcome->err == "words");
    CHECK(outcome->exit_code == 3);
  };
  int fewest = 1000;
  for (int tries = 0; tries < 30 && fewest > 1; ++tries) {
    fewest = std::min(fewest, fewest_turns(rig.proxy, 1, 1, call));
    let_settle(rig.proxy);
  }
  CHECK(fewest == 1);
}

TEST_CASE("Calls right after one another, with nobody to prepare the next, take two turns each") {
  FarRig rig(kEachWay);
  REQUIRE(rig.run("true"));
  CHECK(fewest_turns(rig.proxy, 2, 30, [&] { REQUIRE(rig.run("echo warm")); }) == 2);
}

TEST_CASE("A box that allows one channel at a time is served all the same") {
  Rig rig;
  rig.sshd.restart_with("MaxSessions 1\n");
  for (int i = 0; i < 4; ++i) {
    const auto outcome = rig.run("sleep 0.1; echo one");
    INFO((outcome ? "" : outcome.error().message));
    REQUIRE(outcome);
    CHECK(outcome->out == "one\n");
    CHECK(outcome->connected_anew == (i == 0));
  }
}

TEST_CASE("Between calls the box's question whether we are there is answered, and ours is asked") {
  FarRig rig(Milliseconds(1));
  rig.add_line("ServerAliveInterval 1");
  const auto boxes = make_boxes(warm(rig.sshd.settings()), rig.processes);
  const auto shell = boxes->shell(LoopbackSshd::kAlias).value();
  REQUIRE(shell->run({.script = "true"}, {}));
  REQUIRE(eventually([&] { return rig.proxy.turns() >= 2; }));
  rig.proxy.reset_counts();
  CHECK(eventually([&] { return rig.proxy.turns() >= 3; }));  // asked and answered, again and again
  const auto warm_call = shell->run({.script = "true"}, {});
  REQUIRE(warm_call);
  CHECK_FALSE(warm_call->connected_anew);
  CHECK(warm_call->round_trips == 1);
  // A link that nobody answers on is let go of, without any call.
  rig.proxy.set_way(DelayProxy::Way::silent);
  CHECK(eventually([&] { return rig.proxy.given_up() == 1; }));
}

TEST_CASE("A cold call takes no more turns than the ssh program's own") {
  FarRig rig(kEachWay);
  SystemProcessRunner runner;
  const auto by_ssh = [&] {
    ProcessSpec spec;
    spec.argv = {"ssh", "-T", "-F", rig.path("ssh_config"), LoopbackSshd::kAlias, "cat"};
    spec.input = "hello";
    const auto done = runner.run(spec, {});
    REQUIRE(done);
    REQUIRE(done->out == "hello");
  };
  const auto by_us = [&] {
    const auto boxes = make_boxes(rig.sshd.settings(Seconds(10)), rig.processes);
    const auto outcome =
        boxes->shell(LoopbackSshd::kAlias).value()->run({.script = "cat", .input = "hello"}, {});
    REQUIRE(outcome);
    CHECK(outcome->connected_anew);
  };
  const int theirs = fewest_turns(rig.proxy, 0, 3, by_ssh);
  const int ours = fewest_turns(rig.proxy, theirs, 30, by_us);
  INFO(ours << " turns, ssh " << theirs);
  CHECK(ours <= theirs);
  CHECK(theirs < 12);
}

TEST_CASE("A link that goes silent, or is cut, under a call ends it with that box's words") {
  FarRig rig(Milliseconds(1), Milliseconds(1000));
  const auto way = GENERATE(DelayProxy::Way::silent, DelayProxy::Way::cut);
  REQUIRE(rig.run("true"));
  std::jthread breaker([&] {
    if (rig.began()) rig.proxy.set_way(way);
  });
  const auto broken = rig.run(rig.long_script(), Milliseconds(1000));
  breaker.join();
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == Code::unreachable);
  CHECK(rig.run("true").error().code == Code::unreachable);
  rig.proxy.set_way(DelayProxy::Way::open);
  const auto back = rig.run("echo back");
  REQUIRE(back);
  CHECK(back->out == "back\n");
}

TEST_CASE("A slow link is not a silent one: bytes that still come keep a call alive") {
  FarRig rig(Milliseconds(1));
  REQUIRE(rig.run("true"));
  rig.proxy.set_bytes_per_second(200'000);
  // More than the idle time in all, never so long without a byte.
  const auto slow = rig.run("head -c 300000 /dev/zero", Milliseconds(700));
  INFO((slow ? "" : slow.error().message));
  REQUIRE(slow);
  CHECK(slow->out.size() == 300000);
}

}  // namespace rgt
