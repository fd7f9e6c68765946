// SPDX-License-Identifier: MIT
// Platforms ban addresses that keep knocking: how often a box that does not let us in is dialled.
#include <fstream>

#include <catch2/catch.hpp>

#include "core/base/text.h"
#include "core/box/ssh_redial.h"
#include "tests/core/box/transport/ssh_rig.h"

namespace rgt {

using Rig = SshRig;

namespace {

const Error kDead{Code::unreachable, "connection refused", "call again"};
const Error kRefused{Code::auth_failed, "our keys were refused", "check the keys"};

struct FakeClock final : Clock {
  Time time = Time(Seconds(1'800'000'000));
  Time now() const override { return time; }
};

struct Desk {
  TemporaryFolder folder = {};
  FakeClock clock = {};
  double chance = 1.0;
  RedialBook book{folder.path() / "redial", clock, [this] { return chance; }};

  // How long after a failure the next try is allowed.
  Seconds wait() {
    Seconds waited(0);
    const Time before = clock.time;
    while (!book.may_dial("box:22", "gpu")) clock.time = before + (waited += Seconds(1));
    return waited;
  }
};

}  // namespace

TEST_CASE(
    "Each failure in a row doubles the wait, up to five minutes, and a success forgets them") {
  Desk desk;
  CHECK(desk.book.may_dial("box:22", "gpu").ok());
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 11; ++i) {
    desk.book.failed("box:22", kDead);
    waits.push_back(desk.wait().count());
  }
  CHECK(waits == std::vector<std::int64_t>{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300});
  desk.book.failed("box:22", kDead);
  CHECK(desk.book.may_dial("other:22", "other").ok());
  desk.book.reached("box:22");
  CHECK(desk.book.may_dial("box:22", "gpu").ok());
}

TEST_CASE("Chance takes up to half of the wait away, so that many boxes do not come back at once") {
  Desk desk;
  for (int i = 0; i < 8; ++i) desk.book.failed("box:22", kDead);
  desk.chance = 0.0;
  desk.book.failed("box:22", kDead);
  CHECK(desk.wait() == Seconds(128));
  desk.chance = 0.5;
  desk.book.failed("box:22", kDead);
  CHECK(desk.wait() == Seconds(225));
}

TEST_CASE("Refused keys wait long enough for the usual ban rule: five in ten minutes") {
  Desk desk;
  desk.chance = 0.0;
  const Time start = desk.clock.time;
  int refusals = 0;
  while (desk.clock.time - start < Seconds(600)) {
    desk.book.failed("box:22", kRefused);
    ++refusals;
    desk.wait();
  }
  CHECK(refusals <= 4);
}

TEST_CASE(
    "A change of the keys or the configuration since the failure is tried at once, and once") {
  Desk desk;
  desk.book.failed("box:22", kRefused);
  desk.clock.time += Seconds(5);
  const Time before = desk.clock.time - Seconds(60), since = desk.clock.time - Seconds(2);
  CHECK_FALSE(desk.book.may_dial("box:22", "gpu", before).ok());
  CHECK(desk.book.may_dial("box:22", "gpu", since).ok());
  desk.book.failed("box:22", kRefused);  // it was not mended by that
  CHECK_FALSE(desk.book.may_dial("box:22", "gpu", since).ok());
}

TEST_CASE("A box that is not dialled yet says why, how often it failed, and when it may be again") {
  Desk desk;
  for (int i = 0; i < 3; ++i) desk.book.failed("box:22", kDead);
  desk.clock.time += Seconds(1);
  const auto refused = desk.book.may_dial("box:22", "gpu");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::unreachable);
  CHECK(refused.error().message ==
        "gpu was not dialled: 3 tries in a row failed, the last 1 s ago (connection refused); the "
        "next try is allowed at 2027-01-15T08:00:04Z, in 3 s");
}

TEST_CASE(
    "Another process knows what failed here; a broken page or a moved clock locks nobody out") {
  Desk desk;
  for (int i = 0; i < 12; ++i) desk.book.failed("box:22", kDead);
  const RedialBook another(desk.folder.path() / "redial", desk.clock, [] { return 0.5; });
  CHECK_FALSE(another.may_dial("box:22", "gpu").ok());
  desk.clock.time -= Seconds(3600);  // the clock was ahead when it failed, and was set right since
  CHECK(another.may_dial("box:22", "gpu").ok());
  desk.clock.time += Seconds(3600);
  for (const char* page : {"", "1 -5 1 1 unreachable\nx\n", "1 3 9999999999999999999 0 io\n",
                           "2 1 1 1 unreachable\nx\n", "\xff\x00\n"}) {
    for (const auto& file : std::filesystem::directory_iterator(desk.folder.path() / "redial")) {
      if (file.path().extension() != ".lock") std::ofstream(file.path()) << page;
    }
    CHECK(another.may_dial("box:22", "gpu").ok());
  }
}

TEST_CASE("What was never the box's fault is not held against it") {
  Desk desk;
  for (const Code code : {Code::cancelled, Code::timeout, Code::io, Code::invalid_argument})
    desk.book.failed("box:22", {code, "ours", ""});
  CHECK(desk.book.may_dial("box:22", "gpu").ok());
}

TEST_CASE("A dead port is dialled no more often than the book allows, whoever asks") {
  Rig rig;
  TemporaryFolder folder;
  FakeClock clock;
  SshSettings settings = rig.sshd.settings(Milliseconds(1000));
  const auto call = [&] {  // each is a process of its own: new book, new connections
    settings.redial = std::make_shared<RedialBook>(folder.path(), clock, [] { return 1.0; });
    const auto boxes = make_boxes(settings, rig.processes);
    return boxes->shell(LoopbackSshd::kAlias).value()->run({.script = "true"}, {});
  };
  rig.sshd.stop();
  CHECK(call().error().message.find("cannot connect") != std::string::npos);
  for (int i = 0; i < 5; ++i)
    CHECK(call().error().message.find("was not dialled: 1 try failed") != std::string::npos);
  clock.time += Seconds(1);
  CHECK(call().error().message.find("cannot connect") != std::string::npos);
  CHECK(call().error().message.find("2 tries in a row") != std::string::npos);
  rig.sshd.restart();
  clock.time += Seconds(2);
  const auto back = call();
  INFO((back ? "" : back.error().message));
  CHECK(back.ok());
  rig.sshd.stop();
  CHECK(call().error().message.find("cannot connect") != std::string::npos);  // all was forgotten
}

TEST_CASE("A box that lets us in and drops us at once is not dialled without end") {
  Rig rig;
  TemporaryFolder folder;
  FakeClock clock;
  const std::string key = rig.sshd.read("authorized_keys");
  rig.sshd.write("authorized_keys", "command=\"kill -9 $PPID\" " + key);
  SshSettings settings = rig.sshd.settings();
  settings.redial = std::make_shared<RedialBook>(folder.path(), clock, [] { return 1.0; });
  const auto boxes = make_boxes(settings, rig.processes);
  const auto shell = boxes->shell(LoopbackSshd::kAlias).value();
  const auto dropped = shell->run({.script = "true"}, {});
  REQUIRE_FALSE(dropped);
  INFO(dropped.error().message);
  CHECK(dropped.error().code == Code::unreachable);
  CHECK(shell->run({.script = "true"}, {}).error().message.find("was not dialled") !=
        std::string::npos);
}

}  // namespace rgt
