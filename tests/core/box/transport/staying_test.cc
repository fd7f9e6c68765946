// SPDX-License-Identifier: MIT
// A script that stays on the box between calls: what it saves, and that nothing is lost when it is
// gone, was lied about, or is in another call's way.
#include <signal.h>

#include <catch2/catch.hpp>

#include "core/base/text.h"
#include "core/box/bootstrap.h"
#include "tests/core/box/transport/ssh_rig.h"

namespace rgt {
namespace {

// Answers its pid, its first argument and its input up to "end". Asked "exit" it ends under the
// call unless it was just started; asked "flood" it says more than anybody takes; asked "fail" it
// fails.
constexpr std::string_view kScript = R"(
answer() {
  case $1 in
    exit) [ "$asked" -le 1 ] || exit 0 ;;
    fail) echo "words of a failure" >&2; exit 9 ;;
    flood) head -c 300000 /dev/zero | tr '\0' x; echo ;;
  esac
  printf '%s %s' "$$" "$1"
  while IFS= read -r line && [ "$line" != end ]; do printf ' %s' "$line"; done
  printf '\n'
}
asked=0
if [ "$1" = stay ]; then
  while read -r nonce word; do
    asked=$((asked + 1))
    printf '%s\n' "$nonce"
    answer "$word"
    printf '%s end\n' "$nonce"
  done
else
  answer "$@"
fi
)";

struct Said {
  long pid = 0;
  std::string rest = {};  // the argument and the input
  int round_trips = 0;
};

ScriptCall call_of(const std::string& word, const std::string& line) {
  return {.script = kScript, .args = {word}, .input = line + "\nend\n", .stays = true};
}

Said ask(Shell& shell, const std::string& word, const std::string& line = "in") {
  const auto outcome = shell.run(call_of(word, line), {});
  INFO((outcome ? "" : outcome.error().message));
  REQUIRE(outcome);
  CHECK(outcome->exit_code == 0);
  const std::size_t space = outcome->out.find(' ');
  REQUIRE(space != std::string::npos);
  return {parse_int(outcome->out.substr(0, space)).value_or(0), outcome->out.substr(space + 1),
          outcome->round_trips};
}

}  // namespace

TEST_CASE("A script that stays answers each call from where it is, in one turn") {
  SshRig rig;
  const Said first = ask(*rig.shell, "a", "one");
  CHECK(first.rest == "a one\n");
  for (const std::string line : {"two", "three"}) {
    const Said again = ask(*rig.shell, "b", line);
    CHECK(again.pid == first.pid);
    CHECK(again.rest == "b " + line + "\n");
    CHECK(again.round_trips == 1);
  }
}

TEST_CASE("A script that was killed on the box between or under calls is started again") {
  SshRig rig;
  const Said first = ask(*rig.shell, "a");
  SECTION("between") { REQUIRE(::kill(static_cast<pid_t>(first.pid), SIGKILL) == 0); }
  SECTION("under a call") { CHECK(ask(*rig.shell, "exit").rest == "exit in\n"); }
  const Said next = ask(*rig.shell, "b");
  CHECK(next.pid != first.pid);
  CHECK(next.rest == "b in\n");
  CHECK(ask(*rig.shell, "c").pid == next.pid);
}

TEST_CASE("A script that stays and fails tells its exit code and its words") {
  SshRig rig;
  ask(*rig.shell, "a");
  const auto failed = rig.shell->run(call_of("fail", "in"), {});
  REQUIRE(failed);
  CHECK(failed->exit_code == 9);
  CHECK(failed->err == "words of a failure\n");
  CHECK(ask(*rig.shell, "b").rest == "b in\n");
}

TEST_CASE("Too long an answer is cut and the next one is whole") {
  SshRig rig;
  ask(*rig.shell, "a");
  ScriptCall flood = call_of("flood", "in");
  flood.output_limit = 1000;
  const auto cut = rig.shell->run(flood, {});
  REQUIRE(cut);
  CHECK(cut->truncated);
  CHECK(cut->out.size() <= 1000);
  CHECK(ask(*rig.shell, "b").rest == "b in\n");
}

TEST_CASE("Other scripts run beside one that stays, also where the box allows one channel") {
  SshRig rig;
  const bool narrow = GENERATE(false, true);
  if (narrow) rig.sshd.restart_with("MaxSessions 1\n");
  long stayed = 0;
  for (int i = 0; i < 3; ++i) {
    const Said said = ask(*rig.shell, "a");
    CHECK(said.rest == "a in\n");
    CHECK((i == 0 || (said.pid == stayed) != narrow));
    stayed = said.pid;
    const auto other = rig.run("echo other");
    INFO((other ? "" : other.error().message));
    REQUIRE(other);
    CHECK(other->out == "other\n");
    CHECK_FALSE(other->connected_anew);
  }
}

TEST_CASE("Another script is never answered by the one that stayed") {
  SshRig rig;
  const Said first = ask(*rig.shell, "a");
  std::string other(kScript);
  other += "# another\n";
  ScriptCall call = call_of("b", "in");
  call.script = other;
  const auto outcome = rig.shell->run(call, {});
  REQUIRE(outcome);
  CHECK(outcome->out.find(" b in\n") != std::string::npos);
  CHECK(outcome->out.find(std::to_string(first.pid) + " ") == std::string::npos);
}

TEST_CASE("A link that breaks under a script that stays ends the call, and the next one dials") {
  FarRig rig(Milliseconds(1), Milliseconds(1000));
  ask(*rig.shell, "a");
  rig.proxy.set_way(DelayProxy::Way::silent);
  ScriptCall call = call_of("b", "in");
  call.idle_timeout = Milliseconds(500);
  const auto broken = rig.shell->run(call, {});
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == Code::unreachable);
  rig.proxy.set_way(DelayProxy::Way::open);
  const auto back = rig.shell->run(call_of("c", "in"), {});
  INFO((back ? "" : back.error().message));
  REQUIRE(back);
  CHECK(back->connected_anew);
}

TEST_CASE("An answer that quotes an ending without its nonce is not cut there") {
  SshRig rig;
  ask(*rig.shell, "a");
  CHECK(ask(*rig.shell, "b", "0123456789abcdef end").rest == "b 0123456789abcdef end\n");
}

}  // namespace rgt
