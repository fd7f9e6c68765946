// SPDX-License-Identifier: MIT
// How often we wait for a box far away, counted in turns on a proxy and not in time. Chance (a busy
// machine) can only add turns, so the fewest of a few tries is what the protocol needs.
#include <algorithm>

#include <catch2/catch.hpp>

#include "tests/core/box/transport/ssh_rig.h"

namespace rgt {
namespace {

constexpr Milliseconds kEachWay(20);  // longer than either side takes to react on a calm machine

template <class Action>
int fewest_turns(DelayProxy& proxy, int goal, Action action) {
  int fewest = 1000;
  for (int tries = 0; tries < 8 && fewest > goal; ++tries) {
    proxy.reset_counts();
    action();
    fewest = std::min(fewest, proxy.turns());
  }
  return fewest;
}

}  // namespace

TEST_CASE("A warm call is one request and one answer, also with arguments, input and much output") {
  FarRig rig(kEachWay);
  REQUIRE(rig.run("true"));
  CHECK(fewest_turns(rig.proxy, 1, [&] { REQUIRE(rig.run("echo warm")); }) == 1);
  const std::string input(100000, 'i');  // below the window that sshd opens at once
  const auto big = [&] {
    const auto outcome = rig.shell->run(
        {.script = "cat; printf %s \"$1\" >&2; exit 3", .args = {"words"}, .input = input}, {});
    REQUIRE(outcome);
    CHECK(outcome->out == input);
    CHECK(outcome->err == "words");
    CHECK(outcome->exit_code == 3);
    CHECK_FALSE(outcome->connected_anew);
  };
  CHECK(fewest_turns(rig.proxy, 1, big) == 1);
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
  const int theirs = fewest_turns(rig.proxy, 0, by_ssh);
  const int ours = fewest_turns(rig.proxy, theirs, by_us);
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
