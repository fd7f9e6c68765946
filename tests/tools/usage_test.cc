// SPDX-License-Identifier: MIT
// Wrong use: every answer says what was wrong, what was expected and what to do next.
#include <catch2/catch.hpp>

#include "tests/tools/workbench.h"
#include "tools/abandon.h"

namespace rgt {
namespace {

void check_error(const ToolResult& result, const std::string& word) {
  INFO(result.text);
  CHECK(result.is_error);
  CHECK(result.text.find(word) != std::string::npos);
  CHECK(result.text.find("Next: ") != std::string::npos);
}

}  // namespace

TEST_CASE("An unknown run is answered with the nearest known one") {
  Workbench bench;
  check_error(bench.call("probe", {{"run", "swep-1"}}), "swep-1");
  REQUIRE(bench.call("launch", bench.job("sweep-1", {"true"}, {"x.json"})).structured["started"] ==
          true);
  check_error(bench.call("probe", {{"run", "swep-1"}}), "did you mean sweep-1?");
  check_error(bench.call("verify_artifacts", {{"run", "swep-1"}}), "sweep-1");
  check_error(bench.call("patrol_tick", {{"run", "swep-1"}}), "sweep-1");
  bench.wait_for_end("sweep-1");
}

TEST_CASE("A run name with shell characters is refused before any box is spoken to") {
  Workbench bench;
  for (const char* name : {"a;reboot", "$(reboot)", "../up", "-rf", "a b", "", "a\nb"}) {
    Json job = bench.job("x", {"true"}, {});
    job["job"]["run"] = name;
    check_error(bench.call("launch", job), "run");
  }
  CHECK(bench.boxes().script_calls() == 0);
}

TEST_CASE("Launch wants a job or a run to resume, not both and not neither") {
  Workbench bench;
  check_error(bench.call("launch", Json::object()), "job");
  Json both = bench.job("x", {"true"}, {});
  both["run"] = "x";
  check_error(bench.call("launch", both), "either");
  check_error(bench.call("launch", {{"run", "x"}}), "resume");
  check_error(bench.call("launch", {{"run", "x"}, {"resume", true}}), "no run named");
}

TEST_CASE("An unknown profile is answered with the known ones") {
  Workbench bench;
  check_error(bench.call("audit", {{"box", "local"}, {"profile", "generic-shh"}}), "generic-ssh");
  check_error(bench.call("lookup", {{"query", "disk full"}, {"platform", "nowhere"}}), "nowhere");
}

TEST_CASE("A launch that cannot reach the box keeps its intent and can be repeated") {
  Workbench bench;
  bench.boxes().fail_with({Code::unreachable, "no answer", "check the console"});
  const Json job = bench.job("again", {"true"}, {"x.json"});
  const ToolResult failed = bench.call("launch", job);
  CHECK(failed.exit == Exit::unreachable);
  CHECK(bench.ledger().find_run("again").value()->state == RunState::launching);
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  CHECK(tick.structured["runs"].size() == 1);
  bench.boxes().heal();
  CHECK(bench.call("launch", job).structured["started"] == true);
  bench.wait_for_end("again");
}

TEST_CASE("A launch whose answer was lost is found running by the patrol") {
  Workbench bench;
  bench.boxes().fail_with({Code::unreachable, "no answer", "check the console"});
  (void)bench.call("launch", bench.job("never", {"true"}, {"x.json"}));
  bench.boxes().heal();
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  INFO(tick.text);
  CHECK(tick.structured["runs"][0]["verdict"] == "unknown");
  CHECK(tick.structured["next"][0]["tool"] == "launch");
}

TEST_CASE("Only the typed name of the run abandons it, and then the gate asks nothing of it") {
  Workbench bench;
  bench.boxes().fail_with({Code::unreachable, "no answer", "check the console"});
  (void)bench.call("launch", bench.job("lost", {"true"}, {"x.json"}));
  bench.boxes().heal();
  const Call call{.now = bench.clock().now()};
  CHECK(abandon_question(bench.environment(), "lost").value().find("lost") != std::string::npos);
  CHECK(abandon_on_terminal(bench.environment(), "lost", "yes", "me", call).is_error);
  CHECK(bench.ledger().find_run("lost").value()->state == RunState::launching);
  CHECK_FALSE(abandon_on_terminal(bench.environment(), "lost", " lost\n", "me", call).is_error);
  CHECK(bench.ledger().find_run("lost").value()->state == RunState::abandoned);
  CHECK_FALSE(abandon_question(bench.environment(), "lost").ok());
  CHECK(bench.call("patrol_tick", Json::object()).structured["runs"].empty());
}

TEST_CASE("Without a ledger the tools that need one say why, and audit still measures") {
  Workbench bench;
  bench.environment().ledger = nullptr;
  bench.environment().ledger_error = {Code::io, "cannot open the ledger: disk full", "free space"};
  for (const char* tool : {"probe", "verify_artifacts"})
    check_error(bench.call(tool, {{"run", "r"}}), "disk full");
  check_error(bench.call("patrol_tick", Json::object()), "disk full");
  check_error(bench.call("teardown_request", {{"box", "local"}}), "disk full");
  check_error(bench.call("launch", bench.job("x", {"true"}, {})), "disk full");
  CHECK(bench.call("audit", {{"box", "local"}}).structured["checks"].size() > 5);
}

TEST_CASE("The checkpoint budget is held against the free space") {
  Workbench bench;
  const auto grade = [&](std::int64_t bytes) {
    const ToolResult result =
        bench.call("audit", {{"box", "local"}, {"checkpoint_bytes", bytes}, {"checkpoints", 3}});
    for (const Json& check : result.structured["checks"]) {
      if (check["id"] == "checkpoint_budget") return check["verdict"].get<std::string>();
    }
    return std::string("absent");
  };
  CHECK(grade(1000) == "pass");
  CHECK(grade(1ll << 60) == "fail");
  CHECK(grade(0) == "absent");
}

TEST_CASE("Lookup says when nothing fits instead of guessing") {
  Workbench bench;
  const ToolResult nothing = bench.call("lookup", {{"query", "recipe for pizza dough"}});
  CHECK(nothing.structured["results"].empty());
  CHECK(nothing.structured["verdict"] == "no_match");
  const ToolResult inodes =
      bench.call("lookup", {{"query", "no space left on device but df -h shows room"}});
  REQUIRE_FALSE(inodes.structured["results"].empty());
  CHECK(inodes.structured["results"][0].contains("text"));
}

}  // namespace rgt
