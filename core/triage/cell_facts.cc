// SPDX-License-Identifier: MIT
#include "core/triage/cell_facts.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/triage/box_time.h"

namespace rgt {
namespace {

// 16 KiB: the last words of a job on 8 ranks; kept per cell in the ledger, so it must stay small.
constexpr std::size_t kTailBytes = 16 * 1024;

// 300 s: file servers drift by minutes. A time further ahead of the box says nothing about now.
constexpr std::int64_t kClockDrift = 300;

// Three missed beats and 30 s: one may be lost to a slow disk, two to a busy box.
constexpr std::int64_t kBeatsMissed = 3;
constexpr std::int64_t kBeatsGrace = 30;

// 2 %: the reserve that ext4 and quotas like to keep back; but never more than 50 GiB, which is
// room for a checkpoint even on a large disk; and never less than 1 GiB where the disk is not a
// toy.
constexpr double kDiskShare = 0.02;
constexpr std::uint64_t kDiskMost = 50ull << 30;
constexpr std::uint64_t kDiskLeast = 1ull << 30;
constexpr std::uint64_t kToyDisk = 20ull << 30;
// 90 %: one more loader worker or one more checkpoint buffer away from the limit.
constexpr double kMemoryShare = 0.90;

std::string percent(double share) {
  const auto tenths = static_cast<std::int64_t>(share * 1000 + 0.5);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

std::uint64_t disk_limit(std::uint64_t total) {
  const auto share = static_cast<std::uint64_t>(static_cast<double>(total) * kDiskShare);
  return std::min(kDiskMost, total >= kToyDisk ? std::max(share, kDiskLeast) : share);
}

// A kill of an hour ago is no pressure now: the sparse older beats are for trends.
constexpr std::size_t kRecentBeats = 5;

std::vector<Heartbeat> recent(const std::vector<Heartbeat>& beats) {
  return {beats.end() - static_cast<std::ptrdiff_t>(std::min(beats.size(), kRecentBeats)),
          beats.end()};
}

bool oom_kills_rose(const std::vector<Heartbeat>& beats) {
  return beats.size() >= 2 && beats.back().oom_kills > beats.front().oom_kills;
}

void note_pressure(const RunReading& run, CellFacts& facts) {
  const auto say = [&](std::string what, Remediation remedy) {
    if (!facts.pressure.empty()) facts.pressure += "; ";
    facts.pressure += what;
    if (facts.pressure_remedy == Remediation::none) facts.pressure_remedy = remedy;
  };
  if (run.disk_total_bytes > 0 && run.disk_free_bytes < disk_limit(run.disk_total_bytes)) {
    say("disk: " + human_bytes(run.disk_free_bytes) + " free of " +
            human_bytes(run.disk_total_bytes) + ", the limit is " +
            human_bytes(disk_limit(run.disk_total_bytes)),
        Remediation::ask_to_expand_disk);
  }
  if (run.inodes_total > 0 &&
      static_cast<double>(run.inodes_free) < kDiskShare * static_cast<double>(run.inodes_total)) {
    say("inodes: " + std::to_string(run.inodes_free) + " free of " +
            std::to_string(run.inodes_total) + ", the limit is " + percent(kDiskShare),
        Remediation::ask_to_expand_disk);
  }
  if (run.heartbeats.empty() || facts.heartbeat_stale) return;
  const Heartbeat& beat = run.heartbeats.back();
  const double share = beat.memory_limit == 0 ? 0
                                              : static_cast<double>(beat.memory_bytes) /
                                                    static_cast<double>(beat.memory_limit);
  if (share > kMemoryShare) {
    say("memory: " + human_bytes(beat.memory_bytes) + " used of " + human_bytes(beat.memory_limit) +
            " (" + percent(share) + "), the limit is " + percent(kMemoryShare),
        Remediation::investigate_code);
  }
  if (const std::vector<Heartbeat> beats = recent(run.heartbeats); oom_kills_rose(beats)) {
    say("memory: the cgroup's oom_kill counter rose from " +
            std::to_string(beats.front().oom_kills) + " to " + std::to_string(beat.oom_kills),
        Remediation::investigate_code);
  }
}

void note_heartbeat(const JobSpec& job, const RunReading& run, std::int64_t box_time,
                    CellFacts& facts) {
  if (run.heartbeats.empty()) return;
  facts.heartbeat_age = std::max<std::int64_t>(0, box_time - sane_time(run.heartbeats.back().time));
  facts.heartbeat_stale =
      facts.heartbeat_age > kBeatsMissed * std::max(1, job.heartbeat_seconds) + kBeatsGrace;
}

// A file time as box time; 0 where it says nothing.
std::int64_t usable(std::int64_t file_time, std::int64_t box_time) {
  if (file_time <= 0 || file_time > box_time + kClockDrift) return 0;
  return std::min(file_time, box_time);
}

void note_movement(const CellMemory* memory, std::int64_t box_time, CellFacts& facts) {
  const CellReading& reading = facts.reading;
  const std::int64_t before =
      memory == nullptr ? 0 : std::min(sane_time(memory->last_change), box_time);
  const std::int64_t log_time = usable(reading.log_mtime, box_time);
  const std::int64_t write_time = usable(reading.newest_write, box_time);
  facts.log_moved = reading.log_rotated || !reading.log_bytes.empty();
  if (facts.seen_before) {
    facts.log_moved = reading.log_rotated || reading.log_inode != memory->position.inode ||
                      reading.log_size != memory->position.offset;
  }
  facts.last_change =
      std::max({before, log_time, write_time, usable(reading.started_at, box_time)});
  if (facts.log_moved && log_time == 0) facts.last_change = box_time;
  if (facts.last_change == 0) facts.last_change = box_time;  // nothing known: count from this look
  facts.moved = facts.log_moved || write_time > before;
  facts.quiet_for = box_time - facts.last_change;
}

bool saw_cell(const CellMemory* memory) {
  return memory != nullptr && (memory->last_change > 0 || memory->position.inode != 0);
}

}  // namespace

CellFacts measure_cell(const JobSpec& job, const RunReading& run, std::string_view cell,
                       std::int64_t box_clock, const CellMemory* memory) {
  const std::int64_t box_time = sane_time(box_clock);
  CellFacts facts;
  facts.folder = run.folder_exists;
  facts.seen_before = saw_cell(memory);
  facts.supervisor = run.supervisor_from_older_boot ? Life::ended : run.supervisor;
  facts.older_boot = run.supervisor_from_older_boot;
  facts.expected = job.expected_seconds;
  facts.stall_after = job.stall_seconds;
  const auto found = std::find_if(run.cells.begin(), run.cells.end(),
                                  [&](const CellReading& other) { return other.cell == cell; });
  if (found == run.cells.end()) return facts;
  facts.known = true;
  facts.reading = *found;
  CellReading& reading = facts.reading;
  for (std::int64_t* time :
       {&reading.started_at, &reading.ended_at, &reading.log_mtime, &reading.newest_write}) {
    *time = sane_time(*time);
  }
  facts.life = facts.older_boot ? Life::ended : reading.life;
  if (reading.started_at > 0 && reading.started_at <= box_time) {
    facts.age = box_time - reading.started_at;
  }
  if (reading.started_at > 0 && reading.ended_at >= reading.started_at) {
    facts.took = reading.ended_at - reading.started_at;
  }
  note_movement(memory, box_time, facts);
  note_heartbeat(job, run, box_time, facts);
  note_pressure(run, facts);
  return facts;
}

std::string join_tail(const CellReading& reading, const CellMemory* memory) {
  const std::string& fresh = reading.log_bytes;
  std::string tail = fresh;
  const bool same_log = memory != nullptr && !reading.log_rotated &&
                        (reading.log_inode == memory->position.inode || reading.log_inode == 0);
  if (same_log) {
    const std::uint64_t known_end = memory->position.offset;
    const std::uint64_t known_from =
        known_end - std::min<std::uint64_t>(known_end, memory->tail.size());
    if (fresh.empty() || reading.log_from + fresh.size() <= known_end) {
      tail = fresh.size() > memory->tail.size() ? fresh : memory->tail;
    } else if (reading.log_from > known_end) {
      tail = memory->tail + "\n" + fresh;  // bytes between the looks were too many to fetch
    } else if (reading.log_from > known_from) {
      tail = memory->tail + fresh.substr(static_cast<std::size_t>(known_end - reading.log_from));
    }
  }
  if (tail.size() > kTailBytes) tail.erase(0, tail.size() - kTailBytes);
  return tail;
}

std::string kernel_words(const RunReading& run, const CellFacts& facts) {
  // A card reports its fault up to two minutes before the program notices; another program's
  // out-of-memory kill is told apart from ours by the second.
  constexpr std::int64_t kFaultBefore = 120;
  constexpr std::int64_t kKillBefore = 10;
  constexpr std::int64_t kAfter = 10;
  const std::int64_t end = facts.reading.ended_at > 0 ? facts.reading.ended_at : facts.last_change;
  std::string words;
  for (const KernelLine& line : run.kernel) {
    const bool fault = line.text.find("Xid") != std::string::npos;
    const std::int64_t before = fault ? kFaultBefore : kKillBefore;
    if (line.time < end - before || line.time > end + kAfter) continue;
    if (line.time < facts.reading.started_at) continue;
    words += "\nkernel: " + line.text;
  }
  return words;
}

FailureEvidence evidence_of(const JobSpec& job, const RunReading& run, const CellFacts& facts,
                            std::string_view tail) {
  const CellReading& reading = facts.reading;
  FailureEvidence evidence;
  evidence.log_tail = tail;
  if (!facts.unmarked() && reading.exit_code >= 0) evidence.exit_code = reading.exit_code;
  evidence.signal = facts.unmarked() ? 0 : reading.signal;

  const std::int64_t beat = std::max(1, job.heartbeat_seconds);
  const std::int64_t end = reading.ended_at;
  std::uint64_t disk = run.disk_free_bytes;
  std::uint64_t inodes = run.inodes_free;
  std::vector<Heartbeat> during;  // from one beat before the start to two after the end
  for (const Heartbeat& heartbeat : run.heartbeats) {
    const std::int64_t time = sane_time(heartbeat.time);
    if (reading.started_at > 0 && time < reading.started_at - beat) continue;
    if (end > 0 && time > end + 2 * beat) continue;
    during.push_back(heartbeat);
    if (end > 0 && time < end - 2 * beat) continue;
    // The least: a writer that failed removes its half-written file, and the disk looks fine again.
    disk = std::min(disk, heartbeat.disk_free_bytes);
    inodes = std::min(inodes, heartbeat.inodes_free);
  }
  if (run.disk_total_bytes > 0) evidence.disk_free_bytes = disk;
  if (run.inodes_total > 0) evidence.inodes_free = inodes;
  evidence.oom_kill_counted = oom_kills_rose(during);
  // A cgroup that shows no memory shows no counter; and a beat after the end must have read it.
  evidence.oom_counter_watched = during.size() >= 2 && end > 0 && during.front().time <= end &&
                                 during.back().time >= end && during.front().memory_bytes > 0 &&
                                 during.back().memory_bytes > 0;
  return evidence;
}

}  // namespace rgt
