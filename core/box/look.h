// SPDX-License-Identifier: MIT
// One look at a box: every run on it, in one script call, parsed and typed. A look only reads. It
// costs O(new log bytes): the log is read from the offset of the last look, never from its start.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/box/shell.h"

namespace rgt {

// Three-valued: what we could not see is not dead.
enum class Life { running, ended, unknown };

// A process is pid + start time (clock ticks since boot, /proc/PID/stat field 22) + boot id.
struct ProcessIdentity {
  std::int64_t pid = 0;
  std::string start_time = {};
  std::string boot_id = {};
};

struct LogPosition {
  std::string cell = {};
  std::uint64_t inode = 0;   // 0: never read
  std::uint64_t offset = 0;  // bytes already seen of that inode
};

struct LookRequest {
  struct Run {
    std::string name = {};
    std::string folder = {};
    std::vector<LogPosition> positions = {};
  };
  std::vector<Run> runs = {};
  std::uint64_t log_bytes_limit = 65536;  // most new log bytes returned per cell: the newest ones
  std::uint64_t tail_bytes = 8192;        // for an ended cell: at least the log's last bytes
  bool in_depth = false;  // also effort, samples and the log's head: 0.3 s, with GPUs 3 s more
};

// CPU time of a cell's session between the two ends of the sample.
struct Effort {
  std::size_t processes = 0;
  std::uint64_t ticks = 0;  // of 1/100 s
};

struct CellReading {
  std::string cell = {};
  enum class Marker { none, done, failed } marker = Marker::none;
  int exit_code = -1;  // from FAILED/DONE
  int signal = 0;      // from FAILED
  int attempt = 0;     // 1 for the first start; 0: not started yet (queued)
  Life life = Life::unknown;
  ProcessIdentity process = {};
  std::int64_t started_at = 0;  // unix seconds on the box's clock; 0 unknown
  std::int64_t ended_at = 0;
  std::uint64_t log_inode = 0;
  std::uint64_t log_size = 0;
  std::int64_t log_mtime = 0;
  std::int64_t newest_write = 0;  // newest mtime below the write path (bounded search); 0: no file
  std::uint64_t log_from = 0;     // offset of `log_bytes` in the log
  std::string log_bytes = {};     // untrusted; new since the position asked for, bounded
  bool log_rotated = false;       // inode changed or the size shrank: read from 0
  std::size_t artifacts_present = 0;
  std::size_t artifacts_expected = 0;
  std::optional<Effort> effort = {};  // in depth, while it runs
  std::string log_head = {};          // in depth: the log's first KiB; untrusted
};

// What the box did while a running cell was watched for a moment.
struct HostSample {
  std::uint64_t hundredths = 0;  // its length
  std::uint64_t cpus = 0;
  std::uint64_t busy_ticks = 0, waiting_ticks = 0, all_ticks = 0;  // of all CPUs of the host
  std::uint64_t cgroup_usec = 0, throttled_usec = 0;               // of our cgroup; 0 unknown
  std::vector<std::string> gpus = {};  // "index, utilisation, MiB" a line, several rounds
};

struct KernelLine {
  std::int64_t time = 0;  // box time at which the kernel said so
  std::string text = {};  // cleaned; untrusted
};

struct Heartbeat {
  std::int64_t time = 0;  // unix seconds, box clock
  std::uint64_t disk_free_bytes = 0;
  std::uint64_t inodes_free = 0;
  std::uint64_t memory_bytes = 0;  // cgroup current, 0 unknown
  std::uint64_t memory_limit = 0;  // cgroup limit, 0 none or unknown
  std::uint64_t oom_kills = 0;     // cgroup counter
  std::string gpu = {};            // "util%,used MiB;..." as sampled, empty where there is none
};

struct RunReading {
  std::string run = {};
  bool folder_exists = false;
  std::string spec_digest = {};
  Life supervisor = Life::unknown;
  bool supervisor_from_older_boot = false;  // recorded boot id differs from the box's now
  bool supervisor_finished = false;         // it wrote its END file: every cell has a marker
  std::vector<CellReading> cells = {};
  // The last five, before them ever sparser ones up to some hours back; oldest first.
  std::vector<Heartbeat> heartbeats = {};
  std::optional<HostSample> sample = {};  // in depth, where a cell runs
  std::vector<KernelLine> kernel = {};    // Xid and out-of-memory lines, where a cell died
  std::uint64_t disk_free_bytes = 0;      // of the filesystem that holds the run folder
  std::uint64_t disk_total_bytes = 0;
  std::uint64_t inodes_free = 0;
  std::uint64_t inodes_total = 0;  // 0: the filesystem does not count them
};

struct Reading {
  std::int64_t box_time = 0;  // unix seconds on the box's clock
  std::string boot_id = {};
  std::string machine_id = {};  // sha256 of /etc/machine-id and the boot-stable DMI where readable
  std::vector<RunReading> runs = {};
  std::vector<std::string> gpus = {};  // one clean line each from nvidia-smi; empty: none
  std::uint64_t bytes_sent = 0;        // cost of this look
  std::uint64_t bytes_received = 0;
  int round_trips = 1;
  bool connected_anew = false;
};

Result<Reading> look(Shell& shell, const LookRequest& request, std::stop_token stop);

// The parser alone: foreign bytes in, Reading or Code::corrupt out. Fuzzed.
Result<Reading> parse_look(std::string_view answer);

}  // namespace rgt
