// SPDX-License-Identifier: MIT
// Survey: what `audit` measures on a box before money is spent, in one script call. Only reads.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/box/shell.h"

namespace rgt {

struct MountSpace {
  std::string path = {};         // as asked
  std::string mount_point = {};  // what df says holds it; empty: the path does not exist
  std::string filesystem = {};   // type, where df can tell
  std::uint64_t bytes_total = 0, bytes_free = 0;
  std::uint64_t inodes_total = 0, inodes_free = 0;  // total 0: not counted by this filesystem
  bool writable = false;
};

struct GpuInfo {
  int index = 0;
  std::string name = {};
  std::string driver = {};
  std::uint64_t memory_total_mib = 0, memory_used_mib = 0;
  int utilisation_percent = -1;  // -1: not reported
  std::string ecc_errors = {};   // uncorrected volatile count as printed, "" if N/A
  std::string mig = {};          // "Enabled", "Disabled", ""
};

struct Survey {
  std::int64_t box_time = 0;
  std::string boot_id = {}, machine_id = {};
  std::string os = {};      // PRETTY_NAME
  std::string kernel = {};  // uname -sr
  std::string user = {}, home = {};
  int cpus_visible = 0;            // nproc
  double cpu_quota = 0;            // cores the cgroup allows; 0: no limit seen
  std::uint64_t memory_total = 0;  // host, /proc/meminfo
  std::uint64_t memory_limit = 0;  // cgroup v2 memory.max or v1 limit; 0: none
  std::uint64_t memory_used = 0;   // cgroup current
  std::uint64_t oom_kills = 0;
  std::string cgroup = {};  // "v2", "v1", "none"
  std::uint64_t shm_total = 0, shm_free = 0;
  std::vector<MountSpace> mounts = {};
  bool nvidia_smi_present = false;
  std::string nvidia_smi_error = {};  // its words when present but failing
  std::vector<GpuInfo> gpus = {};
  std::vector<std::string> tools_present = {};  // of the names below
  std::vector<std::string> tools_missing = {};
};

// `paths` are absolute; an empty path means the user's home, and is answered as the home's real
// path. Tools looked for: tmux nohup setsid rsync sha256sum base64 stat python3 nvidia-smi.
Result<Survey> survey(Shell& shell, const std::vector<std::string>& paths, std::stop_token stop);
Result<Survey> parse_survey(std::string_view answer);  // fuzzed

}  // namespace rgt
