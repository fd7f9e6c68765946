// SPDX-License-Identifier: MIT
// What looks alike and is not: idle GPU and hang, busy host and busy cell, a full disk to come and
// one that will do.
#include "core/triage/notes.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "core/triage/verdict.h"

namespace rgt {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;

JobSpec job() {
  JobSpec spec;
  spec.run = "r";
  spec.box = "local";
  spec.cells = {{"a", "train", {}, {}, {"m.pt"}}};
  spec.stall_seconds = 1800;
  return spec;
}

// A cell that has run for an hour, wrote 10 s ago, and was watched for one second on 8 CPUs.
RunReading running(const std::string& log) {
  RunReading run;
  run.run = "r";
  run.folder_exists = true;
  run.supervisor = Life::running;
  run.disk_total_bytes = 1000ull << 30;
  run.disk_free_bytes = 500ull << 30;
  run.inodes_total = 10'000'000;
  run.inodes_free = 5'000'000;
  CellReading cell;
  cell.cell = "a";
  cell.attempt = 1;
  cell.life = Life::running;
  cell.process.pid = 77;
  cell.started_at = kNow - 3600;
  cell.log_inode = 5;
  cell.log_bytes = log;
  cell.log_size = log.size();
  cell.log_mtime = kNow - 10;
  cell.artifacts_expected = 1;
  cell.effort = Effort{4, 100};
  run.cells = {cell};
  run.sample = HostSample{.hundredths = 100, .cpus = 8, .busy_ticks = 100, .all_ticks = 800};
  return run;
}

bool has(const std::vector<Note>& notes, const std::string& id) {
  return std::any_of(notes.begin(), notes.end(), [&](const Note& note) { return note.id == id; });
}

// The second of two looks, the first of which saw `before` in the log ten minutes earlier.
RunAssessment second_look(const std::string& before, RunReading now) {
  RunReading first = running(before);
  first.cells[0].log_mtime = kNow - 610;
  const RunAssessment earlier = assess(job(), first, kNow - 600, {});
  now.cells[0].log_from = before.size();
  now.cells[0].log_size = before.size() + now.cells[0].log_bytes.size();
  return assess(job(), now, kNow, {earlier.cells[0].memory});
}

TEST_CASE("an idle GPU beside advancing steps is told apart from one where nothing advances") {
  RunReading advancing = running("step 700/1000 loss 1.0\n");
  advancing.sample->gpus = {"0, 0, 1200", "0, 2, 1200", "0, 0, 1200"};
  const RunAssessment alive = second_look("step 100/1000 loss 2.0\n", advancing);
  CHECK(alive.verdict == Verdict::healthy);
  CHECK(has(alive.cells[0].notes, "gpu_idle_steps_advance"));
  CHECK(alive.cells[0].left_seconds == 300);

  RunReading still = running("");
  still.sample->gpus = {"0, 0, 1200"};
  const RunAssessment idle = second_look("step 100/1000 loss 2.0\n", still);
  CHECK(has(idle.cells[0].notes, "gpu_idle"));
  CHECK_FALSE(has(idle.cells[0].notes, "gpu_idle_steps_advance"));

  RunReading busy = running("step 700/1000 loss 1.0\n");
  busy.sample->gpus = {"0, 97, 1200", "[N/A], [N/A]"};
  CHECK(second_look("step 100/1000 loss 2.0\n", busy).cells[0].notes.empty());
}

TEST_CASE("a busy host is others' work only where this cell hardly computes") {
  RunReading theirs = running("step 2 loss 1\n");
  theirs.sample->busy_ticks = 780;
  theirs.cells[0].effort = Effort{3, 40};
  CHECK(has(second_look("step 1 loss 1\n", theirs).cells[0].notes, "busy_host"));
  RunReading ours = theirs;
  ours.cells[0].effort = Effort{9, 760};
  CHECK_FALSE(has(second_look("step 1 loss 1\n", ours).cells[0].notes, "busy_host"));
}

TEST_CASE("a CPU quota that holds the cell back is named") {
  RunReading held = running("step 2 loss 1\n");
  held.sample->throttled_usec = 400'000;
  CHECK(has(second_look("step 1 loss 1\n", held).cells[0].notes, "cpu_quota"));
}

TEST_CASE("a silent cell that computes is not called the same as one that sleeps") {
  RunReading silent = running("");
  silent.cells[0].log_mtime = kNow - 1500;
  silent.cells[0].effort = Effort{4, 390};
  const auto memory = assess(job(), silent, kNow - 600, {}).cells[0].memory;
  CHECK(has(assess(job(), silent, kNow, {memory}).cells[0].notes, "silent_but_computing"));
  silent.cells[0].effort = Effort{4, 1};
  CHECK_FALSE(has(assess(job(), silent, kNow, {memory}).cells[0].notes, "silent_but_computing"));
}

// Heartbeats of two hours, each `step` seconds apart, the disk or the inodes shrinking evenly.
std::vector<Heartbeat> beats(std::int64_t inodes_per_hour, std::int64_t bytes_per_hour) {
  std::vector<Heartbeat> result;
  for (std::int64_t ago = 7200; ago >= 0; ago -= 900) {
    Heartbeat beat;
    beat.time = kNow - ago;
    beat.disk_free_bytes = (500ull << 30) + static_cast<std::uint64_t>(bytes_per_hour * ago / 3600);
    beat.inodes_free = 60'000 + static_cast<std::uint64_t>(inodes_per_hour * ago / 3600);
    beat.memory_bytes = 10ull << 30;
    beat.memory_limit = 64ull << 30;
    result.push_back(beat);
  }
  return result;
}

TEST_CASE("inodes that run out before the run is through are said in time, with their pace") {
  RunReading shrinking = running("step 110/1000 loss 1\n");
  shrinking.inodes_free = 60'000;
  shrinking.inodes_total = 200'000;
  shrinking.heartbeats = beats(20'000, 0);
  // 10 steps in 600 s: 890 more need more than 14 hours; the inodes last 3.
  const RunAssessment run = second_look("step 100/1000 loss 1\n", shrinking);
  CHECK(run.verdict == Verdict::healthy);
  REQUIRE(run.trends.inodes.has_value());
  CHECK(run.trends.inodes->per_hour == Approx(20'000));
  CHECK(run.trends.inodes->full_seconds == 3 * 3600);
  REQUIRE(has(run.notes, "inodes_full_soon"));
  CHECK(run.notes[0].text.find("3 h") != std::string::npos);
  CHECK(run.notes[0].act);
}

TEST_CASE("what will do until the run is through is no news") {
  RunReading shrinking = running("step 900/1000 loss 1\n");
  shrinking.inodes_free = 60'000;
  shrinking.heartbeats = beats(20'000, 0);
  CHECK(second_look("step 100/1000 loss 1\n", shrinking).notes.empty());
}

TEST_CASE("memory that creeps towards its limit is seen, and steady memory is not") {
  RunReading creeping = running("step 110/1000 loss 1\n");
  creeping.heartbeats = beats(0, 0);
  CHECK(second_look("step 100/1000 loss 1\n", creeping).notes.empty());
  for (std::size_t i = 0; i < creeping.heartbeats.size(); ++i)
    creeping.heartbeats[i].memory_bytes = (30ull << 30) + (i << 30) * 3;
  CHECK(has(second_look("step 100/1000 loss 1\n", creeping).notes, "memory_creep"));
}

TEST_CASE("a minute of heartbeats, or heartbeats of long ago, make no trend") {
  RunReading run = running("");
  for (int i = 0; i < 5; ++i) {
    Heartbeat beat;
    beat.time = kNow - 60 + i * 15;
    beat.inodes_free = static_cast<std::uint64_t>(1000 - i * 200);
    run.heartbeats.push_back(beat);
  }
  CHECK_FALSE(trends_of(run, kNow).inodes.has_value());
  run.heartbeats = beats(20'000, 0);
  CHECK(trends_of(run, kNow).inodes.has_value());
  CHECK_FALSE(trends_of(run, kNow + 86'400).inodes.has_value());
}

TEST_CASE("a GPU fault in the kernel log explains a death that its own log does not") {
  RunReading dead =
      running("step 100 loss 1\nRuntimeError: CUDA error: unspecified launch failure\n");
  CellReading& cell = dead.cells[0];
  cell.life = Life::ended;
  cell.marker = CellReading::Marker::failed;
  cell.exit_code = 1;
  cell.ended_at = kNow - 5;
  CHECK(assess(job(), dead, kNow, {}).cells[0].failure == FailureClass::code_error);
  dead.kernel = {{kNow - 9, "[ 99.1] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."}};
  const RunAssessment run = assess(job(), dead, kNow, {});
  CHECK(run.cells[0].failure == FailureClass::gpu_fault);
  CHECK(run.cells[0].remediation == Remediation::re_rent_box);
  // One of yesterday, and another program's out-of-memory kill of a minute ago, explain nothing.
  dead.kernel = {{kNow - 90'000, "[ 9.1] NVRM: Xid (PCI:0000:3b:00): 79, fallen off the bus."},
                 {kNow - 65, "[ 40.0] Out of memory: Killed process 4 (java)"}};
  CHECK(assess(job(), dead, kNow, {}).cells[0].failure == FailureClass::code_error);
}

}  // namespace
}  // namespace rgt
