// SPDX-License-Identifier: MIT
// What a tick says beyond the verdict, and the waits: on real runs of the local box.
#include <csignal>
#include <fstream>
#include <latch>
#include <thread>

#include <catch2/catch.hpp>

#include "tests/tools/workbench.h"
#include "tools/danger_clocks.h"
#include "tools/patrol_tick.h"
#include "tools/wait_for_run.h"

namespace rgt {
namespace {

// A pause takes no time: the clock is moved on, and the test may let something happen meanwhile.
class FakeSleeper final : public Sleeper {
 public:
  explicit FakeSleeper(MovableClock& clock) : clock_(clock) {}
  bool sleep(Milliseconds duration, std::stop_token stop) override {
    if (stop.stop_requested()) return false;
    pauses.push_back(duration);
    clock_.offset += duration;
    if (meanwhile) meanwhile(pauses.size());
    return !stop.stop_requested();
  }
  std::vector<Milliseconds> pauses = {};
  std::function<void(std::size_t pause)> meanwhile = {};

 private:
  MovableClock& clock_;
};

// Ends when the test makes the file `go` beside the run folders.
std::string until_go(const Workbench& bench) {
  return "while [ ! -e '" + (bench.folder() / "go").string() + "' ]; do sleep 0.05; done; ";
}
void go(const Workbench& bench) { std::ofstream(bench.folder() / "go") << "go"; }

// Waits for what the box does, not for a time.
void wait_for_file(const std::filesystem::path& path) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!std::filesystem::exists(path)) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void start(Workbench& bench, const Json& job) {
  const ToolResult launched = bench.call("launch", job);
  INFO(launched.text);
  REQUIRE(launched.structured.value("started", false));
}

WaitResult wait(Workbench& bench, const WaitRequest& request, Sleeper& sleeper,
                std::stop_token stop = {}) {
  auto result =
      wait_for_run(bench.environment(), request, sleeper, stop, [](const std::string&) {});
  INFO((result.ok() ? std::string() : result.error().message));
  REQUIRE(result.ok());
  return std::move(*result);
}

Json row_of(const ToolResult& tick, const std::string& run) {
  for (const Json& row : tick.structured["runs"]) {
    if (row["run"] == run) return row;
  }
  FAIL("no row for " << run);
  return {};
}

}  // namespace

TEST_CASE("A wait ends with the run, and says whether it came as hoped") {
  Workbench bench;
  const bool fails = GENERATE(false, true);
  const std::string end = fails ? "exit 3" : write_safetensors("m.safetensors");
  start(bench, bench.job("w", {until_go(bench) + end}, {"m.safetensors"}));
  FakeSleeper sleeper(bench.clock());
  sleeper.meanwhile = [&](std::size_t pause) {
    if (pause != 2) return;
    go(bench);
    wait_for_file(bench.run_folder("w") / "rgt" / "END.1");
  };
  const WaitResult result = wait(bench, {.run = "w", .until = "done"}, sleeper);
  CHECK(result.end == (fails ? WaitEnd::ended : WaitEnd::met));
  CHECK(result.verdict == (fails ? "crashed" : "done"));
  CHECK(result.looks == 3);
  CHECK(result.next.tool == (fails ? "probe" : "verify_artifacts"));
  CHECK(bench.ledger().find_run("w").value()->state == RunState::ended);
}

TEST_CASE("A wait for a marker ends with the line of the log, also one that was there before") {
  Workbench bench;
  start(bench, bench.job("w", {"echo warming up; echo epoch 5 done; " + until_go(bench)}, {"m"}));
  bench.probe_until("w", [](const Json& probe) {
    return probe["cells"][0].value("progress", "").find("epoch 5") != std::string::npos;
  });
  FakeSleeper sleeper(bench.clock());
  const WaitResult result = wait(bench, {.run = "w", .until = "epoch [4-6] done"}, sleeper);
  CHECK(result.end == WaitEnd::met);
  CHECK(result.matched == "epoch 5 done");
  CHECK(sleeper.pauses.empty());
  const auto wrong = wait_for_run(bench.environment(), {.run = "w", .until = "epoch ("}, sleeper,
                                  {}, [](const std::string&) {});
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.error().message.find("missing )") != std::string::npos);
  go(bench);
  bench.wait_for_end("w");
}

TEST_CASE("A wait is bounded: time is up while the run goes on, and looks become rarer") {
  Workbench bench;
  start(bench, bench.job("w", {until_go(bench)}, {"m"}));
  FakeSleeper sleeper(bench.clock());
  const WaitResult result =
      wait(bench, {.run = "w", .timeout = Seconds(600), .every = Seconds(60)}, sleeper);
  CHECK(result.end == WaitEnd::time_up);
  CHECK(result.waited.count() >= 600);
  CHECK(result.waited.count() <= 620);
  CHECK(result.looks < 25);
  CHECK(*std::max_element(sleeper.pauses.begin(), sleeper.pauses.end()) == Seconds(60));

  std::stop_source source;
  sleeper.meanwhile = [&](std::size_t) { source.request_stop(); };
  CHECK(wait(bench, {.run = "w"}, sleeper, source.get_token()).end == WaitEnd::stopped);
  go(bench);
  bench.wait_for_end("w");
}

TEST_CASE("A wait outlives a box that cannot be reached, asks it rarely, and says so at the end") {
  Workbench bench;
  start(bench, bench.job("w", {until_go(bench)}, {"m"}));
  const Error cut{Code::unreachable, "no answer from local within 10 s", "check the console"};
  bench.boxes().fail_with(cut);
  FakeSleeper sleeper(bench.clock());
  const WaitResult lost =
      wait(bench, {.run = "w", .timeout = Seconds(300), .every = Seconds(5)}, sleeper);
  CHECK(lost.end == WaitEnd::unreachable);
  CHECK(lost.looks <= 7);

  sleeper.meanwhile = [&](std::size_t) {
    bench.boxes().heal();
    go(bench);
    wait_for_file(bench.run_folder("w") / "rgt" / "END.1");
  };
  CHECK(wait(bench, {.run = "w"}, sleeper).end == WaitEnd::met);
}

TEST_CASE("A wait does not go on for a run that stands still") {
  Workbench bench;
  Json job = bench.job("w", {"echo begin; " + until_go(bench)}, {"m"});
  job["job"]["stall_seconds"] = 1;
  start(bench, job);
  bench.probe_until("w", [](const Json& probe) { return probe["verdict"] == "stalled"; });
  FakeSleeper sleeper(bench.clock());
  CHECK(wait(bench, {.run = "w"}, sleeper).end == WaitEnd::stalled);
  go(bench);
  bench.wait_for_end("w");
}

TEST_CASE("Times to wait are read with their unit, and anything else is named") {
  CHECK(parse_duration("90").value() == Seconds(90));
  CHECK(parse_duration("30m").value() == Seconds(1800));
  CHECK(parse_duration("2h").value() == Seconds(7200));
  CHECK(parse_duration("1d").value() == Seconds(86400));
  for (const char* wrong : {"", "0", "-5", "h", "5 h", "1w", "99999999999999999999", "31d"}) {
    INFO(wrong);
    CHECK_FALSE(parse_duration(wrong).ok());
  }
}

TEST_CASE("A box that does not answer keeps no other box waiting") {
  // All boxes but the last are silent until the last one was asked.
  class WaitingBoxes final : public Boxes {
   public:
    explicit WaitingBoxes(std::string last) : last_(std::move(last)) {}
    Result<std::shared_ptr<Shell>> shell(const std::string& box) override {
      return std::shared_ptr<Shell>(std::make_shared<Waiting>(*this, box == last_));
    }
    Result<std::shared_ptr<Transfer>> transfer(const std::string&) override { return Error{}; }

   private:
    struct Waiting final : Shell {
      Waiting(WaitingBoxes& owner, bool is_last) : owner_(owner), is_last_(is_last) {}
      Result<ScriptOutcome> run(const ScriptCall&, std::stop_token) override {
        if (is_last_) owner_.last_asked_.count_down();
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!owner_.last_asked_.try_wait()) {
          if (std::chrono::steady_clock::now() > end)
            return Error{Code::timeout, "the last box was never asked", ""};
          std::this_thread::yield();
        }
        return Error{Code::unreachable, "no answer", ""};
      }
      std::string host_key() const override { return {}; }
      WaitingBoxes& owner_;
      const bool is_last_;
    };
    const std::string last_;
    std::latch last_asked_{1};
  };

  Workbench bench;
  const Time now = bench.clock().now();
  constexpr int kBoxes = 100;
  const std::string spec = canonical_job(*parse_job(bench.job("r", {"true"}, {"m"})["job"].dump()));
  for (int i = 0; i < kBoxes; ++i) {
    const std::string name = "b" + std::to_string(1000 + i);
    REQUIRE(bench.ledger().claim_run({.run = name, .box = name, .spec = spec}, now));
    REQUIRE(bench.ledger().run_started(name, "/runs/" + name, "nohup", "", "", false, now));
  }
  WaitingBoxes boxes("b" + std::to_string(1000 + kBoxes - 1));
  Environment environment{.clock = bench.clock(),
                          .boxes = boxes,
                          .handbook = bench.environment().handbook,
                          .ledger = &bench.ledger()};
  const Tool tool = patrol_tick_tool(environment);
  int answered = 0;
  Call call{.now = now};
  call.progress = [&](double, double, const std::string&) { ++answered; };
  const ToolResult tick = tool.run(Json::object(), call);
  INFO(tick.text);
  CHECK(tick.text.find("never asked") == std::string::npos);
  CHECK(tick.structured["runs"].size() == kBoxes);
  CHECK(answered == kBoxes);
}

TEST_CASE("A tick tells of disk or inodes that run out, with the pace and the time") {
  Workbench bench;
  Json job = bench.job("fill", {"echo step 1; " + until_go(bench)}, {"m"});
  job["job"]["heartbeat_seconds"] = 3600;
  start(bench, job);
  bench.probe_until("fill", [](const Json& p) { return p["cells"][0]["verdict"] != "queued"; });
  // Heartbeats as a supervisor leaves them that saw the disk lose its whole space in two hours.
  const auto space = std::filesystem::space(bench.run_folder("fill"));
  const std::int64_t now = to_unix(SystemClock().now());
  std::ofstream beats(bench.run_folder("fill") / "rgt" / "recent", std::ios::trunc);
  for (std::int64_t ago = 3600; ago >= 0; ago -= 240) {
    beats << "heartbeat " << now - ago << " "
          << space.available + space.available * static_cast<std::uint64_t>(ago) / 3600
          << " 1000 0 0 0 - .\n";
  }
  beats.close();
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  INFO(tick.text);
  const Json row = row_of(tick, "fill");
  REQUIRE(row.contains("notes"));
  CHECK(row["notes"][0]["id"] == "disk_full_soon");
  CHECK(row["trends"]["disk_bytes_used"]["per_hour"].get<double>() ==
        Approx(static_cast<double>(space.available)).epsilon(0.05));
  CHECK(tick.structured["next_tick_seconds"] == 300);
  CHECK(tick.text.find("expand the disk") != std::string::npos);
  go(bench);
  bench.wait_for_end("fill");
}

TEST_CASE("A belief that the box contradicts is corrected and said") {
  Workbench bench;
  start(bench, bench.job("b", {"echo step 1; " + until_go(bench)}, {"m"}));
  // Somebody's look held it for ended (a copy of the ledger, an older rgt): the process says no.
  RunAssessment wrong;
  wrong.run = "b";
  wrong.verdict = Verdict::done;
  wrong.summary = "1 cell: 1 done";
  wrong.ended = true;
  REQUIRE(bench.ledger().run_looked_at(wrong, bench.clock().now()).ok());
  REQUIRE(bench.ledger().find_run("b").value()->state == RunState::ended);
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  INFO(tick.text);
  CHECK(row_of(tick, "b")["believed"] == "done");
  CHECK(row_of(tick, "b")["ended"] == false);
  CHECK(tick.structured["end_patrol"] == false);
  CHECK(tick.text.find("the ledger held it for ended") != std::string::npos);
  CHECK(bench.ledger().find_run("b").value()->state == RunState::running);
  go(bench);
  bench.wait_for_end("b");
}

TEST_CASE(
    "A tick counts what was pulled against the manifest, and proof that is gone is no proof") {
  Workbench bench;
  const std::string two =
      write_safetensors("a.safetensors") + "; " + write_safetensors("b.safetensors");
  start(bench, bench.job("t", {two}, {"a.safetensors", "b.safetensors"}));
  bench.wait_for_end("t");
  REQUIRE(bench.call("verify_artifacts", {{"run", "t"}}).structured["verdict"] == "proven");
  CHECK(row_of(bench.call("patrol_tick", Json::object()), "t")["proven"] == true);

  std::filesystem::resize_file(bench.local_copy("t", "c1", "b.safetensors"), 10);
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  INFO(tick.text);
  const Json row = row_of(tick, "t");
  CHECK(row["proven"] == false);
  CHECK(row["transfer"] == Json{{"expected", 2}, {"whole", 1}, {"partial", 1}});
  CHECK(tick.text.find("1 of 2 artifacts are here") != std::string::npos);
  CHECK(tick.structured["next"][0]["tool"] == "verify_artifacts");
}

TEST_CASE("A run that finished in a fraction of its time is not simply done") {
  Workbench bench;
  Json job = bench.job("fast", {write_safetensors("m.safetensors")}, {"m.safetensors"});
  job["job"]["expected_seconds"] = 3600;
  start(bench, job);
  bench.wait_for_end("fast");
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  CHECK(row_of(tick, "fast")["verdict"] == "suspicious_fast_finish");
  CHECK(tick.exit == Exit::attention);
}

TEST_CASE("The next tick comes when the run should be through, but not every second") {
  Workbench bench;
  Json job = bench.job("soon", {"echo begin; " + until_go(bench)}, {"m"});
  job["job"]["expected_seconds"] = 200;
  start(bench, job);
  bench.probe_until("soon", [](const Json& p) { return p["cells"][0]["verdict"] != "queued"; });
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  CHECK(tick.structured["next_tick_seconds"].get<int>() <= 230);
  CHECK(tick.structured["next_tick_seconds"].get<int>() >= 60);
  go(bench);
  bench.wait_for_end("soon");
}

TEST_CASE("Danger clocks count what can be counted from here") {
  Profile profile;
  profile.danger_clocks = {
      {"off-15-days", "released after 15 days off", "", 360, DangerClock::From::off},
      {"session-9-h", "ends after 9 hours", "", 9, DangerClock::From::session},
      {"balance", "when the balance ends", "", 0, DangerClock::From::unknown}};
  const Time begin = from_unix(1'800'000'000);
  const auto at = [&](int hours, bool answers) {
    return clocks_running_out(profile, {begin, begin + std::chrono::hours(1), answers},
                              begin + std::chrono::hours(hours));
  };
  CHECK(at(2, true).empty());
  REQUIRE(at(8, true).size() == 1);
  CHECK(at(8, true)[0].find("session-9-h: it runs out in 1 h") != std::string::npos);
  CHECK(at(10, true)[0].find("by now") != std::string::npos);
  REQUIRE(at(25, false).size() == 1);
  CHECK(at(25, false)[0].find(
            "if the box was switched off at the last contact, it runs out in 14 d") !=
        std::string::npos);
}

TEST_CASE("A patrol of a session box warns before the platform ends it") {
  Workbench bench;
  Json job = bench.job("nb", {"echo step 1; " + until_go(bench)}, {"m"});
  job["job"]["profile"] = "notebooks";
  start(bench, job);
  CHECK_FALSE(bench.call("patrol_tick", Json::object()).structured.contains("danger_clocks"));
  bench.clock().offset += std::chrono::hours(8);
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  INFO(tick.text);
  REQUIRE(tick.structured.contains("danger_clocks"));
  CHECK(tick.text.find("kaggle-session") != std::string::npos);
  go(bench);
  bench.wait_for_end("nb");
}

TEST_CASE("A probe shows the log's head once, the numbers, and what a pattern finds") {
  Workbench bench;
  start(bench, bench.job("p",
                         {"echo config: lr=3e-4 seed=1; echo 'at 7 of 90, cost 1.5'; echo 'step "
                          "12/100 loss=0.5'; " +
                          until_go(bench)},
                         {"m"}));
  wait_for_file(bench.run_folder("p") / "cells" / "c1" / "log");
  const Json first = bench.probe_until(
      "p", [](const Json& probe) { return probe["cells"][0]["numbers"].is_object(); });
  CHECK(first["cells"][0]["numbers"]["step"] == 12);
  CHECK(first["cells"][0]["numbers"]["steps"] == 100);
  CHECK(first["cells"][0]["numbers"]["loss"].get<double>() == Approx(0.5));
  CHECK(first["box_state"]["sample"]["seconds"].get<double>() > 0);
  CHECK(first["box_state"]["sample"]["cpus"].get<int>() >= 1);
  const ToolResult odd =
      bench.call("probe", {{"run", "p"}, {"pattern", R"(at (?P<step>\d+) of (?P<steps>\d+))"}});
  CHECK(odd.structured["cells"][0]["numbers"]["step"] == 7);
  const ToolResult wrong = bench.call("probe", {{"run", "p"}, {"pattern", "(?P<stepp>x)"}});
  CHECK(wrong.is_error);
  CHECK(wrong.text.find("stepp") != std::string::npos);
  go(bench);
  bench.wait_for_end("p");
}

}  // namespace rgt
