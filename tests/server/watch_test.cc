// SPDX-License-Identifier: MIT
// `rgt patrol --watch` with a scripted tick and a clock of its own: what it prints, and that it
// ends.
#include "server/watch.h"

#include <catch2/catch.hpp>
#include <deque>
#include <sstream>

namespace rgt {
namespace {

class HandClock final : public Clock {
 public:
  Time now() const override { return time; }
  Time time = from_unix(1'800'000'000);
};

class FakeSleeper final : public Sleeper {
 public:
  explicit FakeSleeper(HandClock& clock) : clock_(clock) {}
  bool sleep(Milliseconds duration, std::stop_token stop) override {
    clock_.time += duration;
    ++pauses;
    return !stop.stop_requested();
  }
  int pauses = 0;

 private:
  HandClock& clock_;
};

ToolResult tick(const std::string& verdict, bool end, bool changed, Exit exit = Exit::fine) {
  return {Json{{"summary", end ? "0 live, 1 ended" : "1 live, 0 ended"},
               {"end_patrol", end},
               {"next", Json::array({{{"say", "pull the artifacts"}}})},
               {"runs", Json::array({{{"run", "sweep"},
                                      {"box", "gpu-1"},
                                      {"verdict", verdict},
                                      {"summary", "1 cell: 1 " + verdict},
                                      {"progress", "step 12/100"},
                                      {"changed", changed}}})}},
          "", false, exit};
}

struct Script {
  std::deque<ToolResult> ticks = {};  // the last one is repeated
  HandClock clock = {};
  FakeSleeper sleeper{clock};
  std::ostringstream out = {};

  int play(Watch watch, std::stop_token stop = {}) {
    Tool tool;
    tool.run = [this](const Json&, const Call&) {
      ToolResult next = ticks.front();
      if (ticks.size() > 1) ticks.pop_front();
      return next;
    };
    return watch_patrol(tool, Json::object(), clock, sleeper, watch, out, stop);
  }
};

TEST_CASE("A watch prints a plain line per run and tick, and ends when every run has ended") {
  Script script;
  script.ticks = {tick("healthy", false, true), tick("healthy", false, false),
                  tick("done", true, true)};
  CHECK(script.play({}) == 0);
  CHECK(script.sleeper.pauses == 2);
  CHECK(script.out.str() ==
        "2027-01-15T08:00:00Z  1 live, 0 ended\n"
        "  sweep  gpu-1  healthy  1 cell: 1 healthy  (changed)\n"
        "2027-01-15T08:00:15Z  1 live, 0 ended\n"
        "  sweep  gpu-1  healthy  1 cell: 1 healthy\n"
        "2027-01-15T08:00:30Z  0 live, 1 ended\n"
        "  sweep  gpu-1  done  1 cell: 1 done  (changed)\n");
}

TEST_CASE("On a terminal the table is drawn over and shows progress and what to do") {
  Script script;
  script.ticks = {tick("healthy", false, true), tick("done", true, true)};
  script.play({.on_terminal = true});
  const std::string text = script.out.str();
  CHECK(text.starts_with("\x1b[H\x1b[J"));
  CHECK(text.find("step 12/100") != std::string::npos);
  CHECK(text.find("Next: pull the artifacts") != std::string::npos);
  CHECK(text.find("next look in 15 s") != std::string::npos);
}

TEST_CASE("A watch ends when its time is up, and says that something still runs") {
  Script script;
  script.ticks = {tick("healthy", false, false)};
  CHECK(script.play({.how_long = Seconds(3600), .every = Seconds(600)}) == 5);
  CHECK(script.sleeper.pauses == 6);
}

TEST_CASE("A watch passes on how urgent the end is, and stops when it is told to") {
  Script script;
  script.ticks = {tick("crashed", true, true, Exit::attention)};
  CHECK(script.play({}) == 1);
  Script stopped;
  stopped.ticks = {tick("healthy", false, false)};
  std::stop_source source;
  source.request_stop();
  CHECK(stopped.play({}, source.get_token()) == 130);
}

TEST_CASE("What a box put into a row cannot move the cursor of the table") {
  Script script;
  ToolResult hostile = tick("healthy", true, true);
  hostile.structured["runs"][0]["progress"] = "\x1b[2Jstep 1";
  script.ticks = {hostile};
  script.play({.on_terminal = true});
  CHECK(script.out.str().find("\x1b[2J") == std::string::npos);
}

}  // namespace
}  // namespace rgt
