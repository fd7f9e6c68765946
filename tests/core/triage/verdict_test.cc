// SPDX-License-Identifier: MIT
// One test a row of the decision table, then what must hold for any reading at all.
#include "core/triage/verdict.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;

JobSpec job_of(std::vector<std::string> cells) {
  JobSpec job;
  job.run = "r1";
  job.stall_seconds = 1800;
  job.heartbeat_seconds = 30;
  for (std::string& name : cells) job.cells.push_back({.name = std::move(name)});
  return job;
}

// A cell that trains: started an hour ago, wrote its log 10 s ago.
CellReading training(const std::string& name) {
  CellReading cell;
  cell.cell = name;
  cell.attempt = 1;
  cell.life = Life::running;
  cell.process = {4711, "99", "boot-a"};
  cell.started_at = kNow - 3600;
  cell.log_inode = 7;
  cell.log_bytes = "epoch 3 step 120 loss 0.41\n";
  cell.log_size = cell.log_bytes.size();
  cell.log_mtime = kNow - 10;
  cell.newest_write = kNow - 300;
  return cell;
}

CellReading finished(const std::string& name) {
  CellReading cell = training(name);
  cell.marker = CellReading::Marker::done;
  cell.life = Life::ended;
  cell.exit_code = 0;
  cell.ended_at = kNow - 5;
  cell.artifacts_present = cell.artifacts_expected = 2;
  return cell;
}

CellReading broken(const std::string& name, int exit_code, const std::string& log) {
  CellReading cell = finished(name);
  cell.marker = CellReading::Marker::failed;
  cell.exit_code = exit_code;
  cell.log_bytes = log;
  cell.log_size = log.size();
  return cell;
}

CellReading vanished(const std::string& name) {
  CellReading cell = training(name);
  cell.life = Life::ended;
  return cell;
}

RunReading run_of(std::vector<CellReading> cells) {
  RunReading run;
  run.run = "r1";
  run.folder_exists = true;
  run.supervisor = Life::running;
  run.cells = std::move(cells);
  run.disk_total_bytes = 100ull << 30;
  run.disk_free_bytes = 60ull << 30;
  run.inodes_total = 1'000'000;
  run.inodes_free = 900'000;
  run.heartbeats = {{kNow - 40, 60ull << 30, 900'000, 1ull << 30, 8ull << 30, 0, ""},
                    {kNow - 10, 60ull << 30, 900'000, 1ull << 30, 8ull << 30, 0, ""}};
  return run;
}

RunReading after_the_end(std::vector<CellReading> cells) {
  RunReading run = run_of(std::move(cells));
  run.supervisor = Life::ended;
  run.supervisor_finished = true;
  return run;
}

CellAssessment only_cell(const RunReading& run, const std::vector<CellMemory>& memory = {},
                         const JobSpec& job = job_of({"a"})) {
  const RunAssessment assessment = assess(job, run, kNow, memory);
  REQUIRE(assessment.cells.size() == 1);
  return assessment.cells.front();
}

CellMemory memory_of(std::int64_t last_change, std::uint64_t offset) {
  CellMemory memory;
  memory.cell = "a";
  memory.position = {"a", 7, offset};
  memory.last_change = last_change;
  memory.last_progress = "epoch 3 step 119 loss 0.42";
  return memory;
}

bool cites(const CellAssessment& cell, const std::string& entry) {
  return std::find(cell.references.begin(), cell.references.end(), entry) != cell.references.end();
}

// ---- markers

TEST_CASE("a finished cell with all its artifacts is done") {
  const CellAssessment cell = only_cell(after_the_end({finished("a")}));
  CHECK(cell.verdict == Verdict::done);
  CHECK(cell.remediation == Remediation::pull_and_verify);
  CHECK(cell.why == "done after 59 min 55 s, 2 of 2 artifacts present");
}

TEST_CASE("DONE with an artifact missing is not done: the artifact wins") {
  CellReading reading = finished("a");
  reading.artifacts_present = 1;
  const CellAssessment cell = only_cell(after_the_end({reading}));
  CHECK(cell.verdict == Verdict::unknown);
  CHECK(cell.why == "marker says DONE but 1 of 2 artifacts is missing");
}

TEST_CASE("DONE while the process lives, or with a failing exit code, is believed by nobody") {
  CellReading alive = finished("a");
  alive.life = Life::running;
  CHECK(only_cell(run_of({alive})).verdict == Verdict::unknown);
  CHECK_FALSE(assess(job_of({"a"}), after_the_end({alive}), kNow, {}).ended);
  CellReading failing = finished("a");
  failing.exit_code = 3;
  CHECK(only_cell(run_of({failing})).verdict == Verdict::unknown);
}

TEST_CASE("a cell that took under half the expected time finished suspiciously fast") {
  JobSpec job = job_of({"a"});
  job.expected_seconds = 2 * 3595 + 1;  // it took 3595 s
  CHECK(only_cell(after_the_end({finished("a")}), {}, job).verdict ==
        Verdict::suspicious_fast_finish);
  job.expected_seconds = 2 * 3595;
  CHECK(only_cell(after_the_end({finished("a")}), {}, job).verdict == Verdict::done);
}

TEST_CASE("a failed cell is crashed, and says why and what to do") {
  const CellAssessment cell = only_cell(after_the_end({broken(
      "a", 1,
      "Traceback (most recent call last):\n  File \"t.py\", line 3\nKeyError: 'optim'\n")}));
  CHECK(cell.verdict == Verdict::crashed);
  CHECK(cell.failure == FailureClass::code_error);
  CHECK(cell.remediation == Remediation::investigate_code);
  REQUIRE(cell.diagnosis.has_value());
  CHECK(cell.diagnosis->candidates.front().evidence.front() == "KeyError: 'optim'");
}

TEST_CASE("a failure marker with exit code 0 and a quiet log is still a crash") {
  const CellAssessment cell = only_cell(after_the_end({broken("a", 0, "bye\n")}));
  CHECK(cell.verdict == Verdict::crashed);
  CHECK(cell.failure == FailureClass::unknown);
  CHECK(cell.remediation == Remediation::investigate_code);
}

TEST_CASE("a preemption and a time limit are preempted, to be resumed") {
  for (const std::string words : {"DUE TO PREEMPTION ***\n", "DUE TO TIME LIMIT ***\n"}) {
    const CellAssessment cell = only_cell(after_the_end(
        {broken("a", 143, "slurmstepd: error: *** JOB 1 ON n1 CANCELLED AT 2026-11-24 " + words)}));
    CHECK(cell.verdict == Verdict::preempted);
    CHECK(cell.remediation == Remediation::resume_from_latest);
    CHECK(cites(cell, "C3"));
  }
}

TEST_CASE(
    "a SIGKILL is host memory when the oom_kill counter rose, and somebody's hand when it did "
    "not") {
  CellReading reading = broken("a", 137, "step 5 loss 2\nKilled\n");
  reading.signal = 9;
  RunReading run = after_the_end({reading});
  run.heartbeats.push_back(run.heartbeats.back());
  run.heartbeats.back().time = kNow;  // after the end
  CHECK(only_cell(run).failure == FailureClass::killed_unknown);
  run.heartbeats.back().oom_kills = 1;
  CHECK(only_cell(run).failure == FailureClass::host_oom);
}

TEST_CASE("a disk that was full at the death is found though it has room again now") {
  CellReading reading = broken("a", 1, "RuntimeError: something broke while saving\n");
  RunReading run = after_the_end({reading});
  run.heartbeats.back().disk_free_bytes = 0;
  CHECK(only_cell(run).failure == FailureClass::disk_full_bytes);
}

// ---- no marker

TEST_CASE("a cell whose log moves is healthy") {
  const CellAssessment cell = only_cell(run_of({training("a")}));
  CHECK(cell.verdict == Verdict::healthy);
  CHECK(cell.progress == "epoch 3 step 120 loss 0.41");
  CHECK(cell.failure == FailureClass::none);
  CHECK(cell.remediation == Remediation::none);
}

TEST_CASE("a quiet cell is healthy until the stall time, and stalled from then on") {
  CellReading reading = training("a");
  reading.log_bytes.clear();
  reading.newest_write = 0;
  const auto at = [&](std::int64_t quiet) {
    reading.log_mtime = kNow - quiet;
    return only_cell(run_of({reading}), {memory_of(kNow - quiet, reading.log_size)});
  };
  CHECK(at(1799).verdict == Verdict::healthy);
  CHECK(at(1800).verdict == Verdict::stalled);
  CHECK(at(1800).remediation == Remediation::investigate_code);
  CHECK(at(1799).progress == "epoch 3 step 119 loss 0.42");
}

TEST_CASE("a first look at a cell that has been silent for hours says stalled") {
  CellReading reading = training("a");
  reading.started_at = kNow - 90000;
  reading.log_mtime = reading.newest_write = kNow - 7200;
  CHECK(only_cell(run_of({reading})).verdict == Verdict::stalled);
}

TEST_CASE("a log that stands still while files appear is buffered output, not a stall") {
  CellReading reading = training("a");
  reading.log_bytes.clear();
  reading.log_mtime = kNow - 7200;
  reading.newest_write = kNow - 30;
  const CellAssessment cell =
      only_cell(run_of({reading}), {memory_of(kNow - 1900, reading.log_size)});
  CHECK(cell.verdict == Verdict::healthy);
  CHECK(cites(cell, "U43"));
}

TEST_CASE("a file from the future does not keep a stalled cell alive for ever") {
  CellReading reading = training("a");
  reading.log_bytes.clear();
  reading.log_mtime = kNow - 7200;
  reading.newest_write = kNow + 86400;
  CHECK(only_cell(run_of({reading}), {memory_of(kNow - 7200, reading.log_size)}).verdict ==
        Verdict::stalled);
}

TEST_CASE("a young cell is starting, and a waiting one is queued") {
  CellReading young = training("a");
  young.started_at = kNow - 20;
  CHECK(only_cell(run_of({young})).verdict == Verdict::starting);
  CellReading waiting;
  waiting.cell = "a";
  CHECK(only_cell(run_of({waiting})).verdict == Verdict::queued);
}

TEST_CASE("process and supervisor gone without a marker is lost") {
  RunReading run = run_of({vanished("a")});
  run.supervisor = Life::ended;
  const CellAssessment cell = only_cell(run);
  CHECK(cell.verdict == Verdict::lost);
  CHECK(cell.failure == FailureClass::killed_unknown);
  CHECK(cell.remediation == Remediation::resume_from_latest);
  CHECK(cites(cell, "U3"));
}

TEST_CASE("a reboot is told from the boot id, whatever a reused process id seems to say") {
  RunReading run = run_of({training("a")});
  run.supervisor_from_older_boot = true;
  const RunAssessment assessment = assess(job_of({"a"}), run, kNow, {});
  CHECK(assessment.cells[0].verdict == Verdict::lost);
  CHECK(assessment.cells[0].why.find("rebooted") != std::string::npos);
  CHECK(assessment.cells[0].remediation == Remediation::resume_from_latest);
  CHECK(assessment.ended);
}

TEST_CASE("a lost cell whose log tells of a spot notice is preempted") {
  CellReading reading = vanished("a");
  reading.log_bytes = "EC2 Spot Instance interruption notice received\n";
  RunReading run = run_of({reading});
  run.supervisor = Life::ended;
  CHECK(only_cell(run).verdict == Verdict::preempted);
}

TEST_CASE("a cell that waited for a supervisor that is gone is lost") {
  CellReading waiting;
  waiting.cell = "a";
  RunReading run = run_of({waiting});
  run.supervisor = Life::ended;
  CHECK(only_cell(run).verdict == Verdict::lost);
}

TEST_CASE("an end without a marker under a live or unseen supervisor is unknown, not lost") {
  RunReading run = run_of({vanished("a")});
  CHECK(only_cell(run).verdict == Verdict::unknown);
  run.supervisor = Life::unknown;
  CHECK(only_cell(run).verdict == Verdict::unknown);
}

TEST_CASE("what could not be seen is unknown") {
  CellReading reading = training("a");
  reading.life = Life::unknown;
  CHECK(only_cell(run_of({reading})).verdict == Verdict::unknown);
  CHECK(only_cell(run_of({})).verdict == Verdict::unknown);
  RunReading no_folder = run_of({});
  no_folder.folder_exists = false;
  CHECK(only_cell(no_folder).verdict == Verdict::unknown);
  CHECK(only_cell(no_folder, {memory_of(kNow - 60, 10)}).verdict == Verdict::lost);
  CHECK_FALSE(assess(job_of({"a"}), no_folder, kNow, {memory_of(kNow - 60, 10)}).ended);
}

TEST_CASE(
    "a running cell on a disk, an inode table or a memory limit that runs out is under pressure") {
  RunReading disk = run_of({training("a")});
  disk.disk_free_bytes = 1ull << 30;
  CHECK(only_cell(disk).verdict == Verdict::resource_pressure);
  CHECK(only_cell(disk).remediation == Remediation::ask_to_expand_disk);
  CHECK(only_cell(disk).why.find("1.0 GiB free of 100.0 GiB") != std::string::npos);
  RunReading inodes = run_of({training("a")});
  inodes.inodes_free = 19'999;
  CHECK(only_cell(inodes).verdict == Verdict::resource_pressure);
  inodes.inodes_total = 0;  // not counted by this filesystem
  inodes.inodes_free = 0;
  CHECK(only_cell(inodes).verdict == Verdict::healthy);
  RunReading memory = run_of({training("a")});
  memory.heartbeats.back().memory_bytes = 7900ull << 20;
  CHECK(only_cell(memory).verdict == Verdict::resource_pressure);
  RunReading kills = run_of({training("a")});
  kills.heartbeats.back().oom_kills = 2;
  CHECK(only_cell(kills).verdict == Verdict::resource_pressure);
  CHECK(cites(only_cell(kills), "U9"));
}

TEST_CASE("a stale heartbeat and a dead supervisor are told beside a living cell") {
  RunReading stale = run_of({training("a")});
  for (Heartbeat& beat : stale.heartbeats) beat.time -= 600;
  CHECK(only_cell(stale).why.find("heartbeat is 10 min") != std::string::npos);
  RunReading orphan = run_of({training("a")});
  orphan.supervisor = Life::ended;
  CHECK(only_cell(orphan).verdict == Verdict::healthy);
  CHECK(only_cell(orphan).why.find("supervisor is gone") != std::string::npos);
}

// ---- memory

TEST_CASE("the log position moves on with what was read, and starts anew in a rotated log") {
  CellReading reading = training("a");
  reading.log_from = 100;
  reading.log_size = 100 + reading.log_bytes.size();
  CellMemory memory = only_cell(run_of({reading}), {memory_of(kNow - 60, 100)}).memory;
  CHECK(memory.position.inode == 7);
  CHECK(memory.position.offset == reading.log_size);
  reading.log_rotated = true;
  reading.log_inode = 8;
  reading.log_from = 0;
  reading.log_size = reading.log_bytes.size();
  memory = only_cell(run_of({reading}), {memory}).memory;
  CHECK(memory.position.inode == 8);
  CHECK(memory.position.offset == reading.log_bytes.size());
}

TEST_CASE("an error cut in two by a look is still diagnosed") {
  const std::string log =
      "Traceback (most recent call last):\n  File \"t.py\", line 1\n"
      "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n";
  for (std::size_t cut = 0; cut <= log.size(); cut += 7) {
    CellReading first = training("a");
    first.log_bytes = log.substr(0, cut);
    first.log_size = cut;
    const CellMemory memory = only_cell(run_of({first})).memory;
    CellReading second = broken("a", 1, log.substr(cut));
    second.log_from = cut;
    second.log_size = log.size();
    CHECK(only_cell(after_the_end({second}), {memory}).failure == FailureClass::cuda_oom);
    CHECK(only_cell(after_the_end({second}), {memory}).memory.tail == log);
    // An ended cell's look sends the tail again: nothing is seen twice.
    CHECK(only_cell(after_the_end({broken("a", 1, log)}), {memory}).memory.tail == log);
  }
}

TEST_CASE("the kept tail is bounded") {
  CellReading reading = training("a");
  reading.log_bytes = std::string(1u << 20, 'x');
  CHECK(only_cell(run_of({reading})).memory.tail.size() <= 16 * 1024);
}

// ---- the run

TEST_CASE("the run's summary counts the calm first and names the failures") {
  RunReading run = run_of({finished("a"), training("b"), broken("c", 1, "CUDA out of memory.\n")});
  const RunAssessment assessment = assess(job_of({"a", "b", "c"}), run, kNow, {});
  CHECK(assessment.summary == "3 cells: 1 done, 1 healthy, 1 crashed (cuda_oom)");
  CHECK(assessment.verdict == Verdict::crashed);
  CHECK_FALSE(assessment.ended);
}

TEST_CASE("a run whose cells are all done has ended and wants to be pulled") {
  const RunAssessment run =
      assess(job_of({"a", "b"}), after_the_end({finished("a"), finished("b")}), kNow, {});
  CHECK(run.verdict == Verdict::done);
  CHECK(run.ended);
  CHECK(run.remediation == Remediation::pull_and_verify);
}

TEST_CASE("a run has not ended while its supervisor may live, whatever the markers say") {
  RunReading run = run_of({finished("a")});
  CHECK_FALSE(assess(job_of({"a"}), run, kNow, {}).ended);
  run.supervisor = Life::unknown;
  CHECK_FALSE(assess(job_of({"a"}), run, kNow, {}).ended);
}

TEST_CASE("a run waiting for its second cell is as its running cell is") {
  CellReading waiting;
  waiting.cell = "b";
  const RunReading reading = run_of({training("a"), waiting});
  CHECK(assess(job_of({"a", "b"}), reading, kNow, {}).verdict == Verdict::healthy);
}

TEST_CASE("a job without cells is unknown and never ended") {
  const RunAssessment run = assess(job_of({}), after_the_end({}), kNow, {});
  CHECK(run.verdict == Verdict::unknown);
  CHECK_FALSE(run.ended);
}

// ---- whatever the reading says

struct Dice {
  std::mt19937_64 engine;
  std::uint64_t below(std::uint64_t n) { return engine() % n; }
  std::int64_t time() {
    constexpr std::int64_t kTimes[] = {0,        1,  kNow - 1'000'000, kNow - 1801, kNow - 5, kNow,
                                       kNow + 9, -7, INT64_MAX,        INT64_MIN};
    return kTimes[below(std::size(kTimes))];
  }
  std::uint64_t size() {
    constexpr std::uint64_t kSizes[] = {0, 1, 100, 1ull << 20, 1ull << 40, UINT64_MAX};
    return kSizes[below(std::size(kSizes))];
  }
  std::string bytes() {
    std::string text = below(2) == 0 ? "step 3 loss 1\nKilled\n" : "";
    for (std::uint64_t i = below(200); i > 0; --i) text += static_cast<char>(below(256));
    return text;
  }
  Life life() { return static_cast<Life>(below(3)); }
};

RunReading random_run(Dice& dice) {
  RunReading run;
  run.folder_exists = dice.below(8) != 0;
  run.supervisor = dice.life();
  run.supervisor_from_older_boot = dice.below(8) == 0;
  run.supervisor_finished = dice.below(3) == 0;
  run.disk_free_bytes = dice.size();
  run.disk_total_bytes = dice.size();
  run.inodes_free = dice.size();
  run.inodes_total = dice.size();
  for (std::uint64_t i = dice.below(4); i > 0; --i) {
    run.heartbeats.push_back({dice.time(), dice.size(), dice.size(), dice.size(), dice.size(),
                              dice.size(), dice.bytes()});
  }
  for (std::uint64_t i = dice.below(3); i > 0; --i) {
    CellReading cell;
    cell.cell = "a";
    cell.marker = static_cast<CellReading::Marker>(dice.below(3));
    cell.exit_code = static_cast<int>(dice.below(300)) - 2;
    cell.signal = static_cast<int>(dice.below(70)) - 2;
    cell.attempt = static_cast<int>(dice.below(3));
    cell.life = dice.life();
    cell.started_at = dice.time();
    cell.ended_at = dice.time();
    cell.log_inode = dice.below(3);
    cell.log_size = dice.size();
    cell.log_mtime = dice.time();
    cell.newest_write = dice.time();
    cell.log_from = dice.size();
    cell.log_bytes = dice.bytes();
    cell.log_rotated = dice.below(4) == 0;
    cell.artifacts_present = dice.below(3);
    cell.artifacts_expected = dice.below(3);
    run.cells.push_back(std::move(cell));
  }
  return run;
}

void check_fail_safe(const RunReading& reading, const RunAssessment& run) {
  const CellAssessment& cell = run.cells.front();
  const bool live_verdict = cell.verdict == Verdict::healthy || cell.verdict == Verdict::starting;
  const bool seen_alive = !reading.cells.empty() && reading.cells.front().life == Life::running;
  const bool marked =
      !reading.cells.empty() && reading.cells.front().marker != CellReading::Marker::none;
  if (live_verdict) CHECK(seen_alive);
  if (cell.verdict == Verdict::done) CHECK(marked);
  if (run.ended) CHECK((!seen_alive || reading.supervisor_from_older_boot));
  if (!reading.folder_exists) CHECK_FALSE(run.ended);
  CHECK_FALSE(cell.why.empty());
  CHECK(is_valid_utf8(cell.why));
  CHECK(is_valid_utf8(cell.progress));
  CHECK(cell.memory.tail.size() <= 16 * 1024);
  CHECK_FALSE(run.summary.empty());
}

TEST_CASE("no reading, however odd, crashes the table or makes an unseen process healthy") {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    INFO("seed " << seed);
    Dice dice{std::mt19937_64(seed)};
    JobSpec job = job_of({"a"});
    job.expected_seconds = dice.time();
    job.stall_seconds = dice.time();
    std::vector<CellMemory> memory;
    for (int look = 0; look < 3; ++look) {
      const RunReading reading = random_run(dice);
      const RunAssessment run = assess(job, reading, kNow, memory);
      check_fail_safe(reading, run);
      memory = {run.cells.front().memory};
      if (dice.below(2) == 0) memory.front().last_change = dice.time();
    }
  }
}

}  // namespace
}  // namespace rgt
