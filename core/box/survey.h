// SPDX-License-Identifier: MIT
// Survey: what `audit` measures on a box before money is spent, in one script call. Only reads.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/box/gpu_report.h"
#include "core/box/platform_signs.h"
#include "core/box/shell.h"
#include "core/box/torch_report.h"

namespace rgt {

struct MountSpace {
  std::string path = {};         // as asked
  std::string mount_point = {};  // what df says holds it; empty: the path does not exist
  std::string filesystem = {};   // type, where df can tell
  std::uint64_t bytes_total = 0, bytes_free = 0;
  std::uint64_t inodes_total = 0, inodes_free = 0;  // total 0: not counted by this filesystem
  bool writable = false;
};

// Something large that lies on a measured disk, by `du -x`.
struct Hog {
  std::string path = {};         // where it was looked for: "/root/.cache/huggingface"
  std::string target = {};       // where its bytes really lie, if that is a symlink
  std::string mount_point = {};  // the filesystem that they fill
  std::uint64_t bytes = 0;
  bool whole = false;  // false: it was too large to be weighed in the time that one thing gets
};

struct MirrorTry {
  std::string url = {};
  int status = 0;  // of HTTP; 0: no answer
  std::uint64_t bytes_per_second = 0, bytes = 0;
  bool proxied = false;  // a proxy variable was set, as it would be for a transfer
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
  std::uint64_t memory_cache = 0;  // of that, file pages which the kernel takes back on need
  std::uint64_t oom_kills = 0;
  std::string cgroup = {};  // "v2", "v1", "none"
  std::uint64_t shm_total = 0, shm_free = 0;
  std::vector<MountSpace> mounts = {};
  bool nvidia_smi_present = false;
  GpuReport gpu = {};
  std::string xid_source = {};  // "dmesg" (this boot), "log" (perhaps older), "none": not readable
  std::vector<XidEvent> xids = {};
  TorchReport torch = {};
  std::vector<PlatformSign> signs = {};
  std::vector<MirrorTry> mirrors = {};          // empty: none was asked for, or the box has no curl
  std::vector<Hog> hogs = {};                   // largest first
  bool hogs_whole = true;                       // false: the time ran out, there may be more
  std::vector<std::string> tools_present = {};  // of the names below
  std::vector<std::string> tools_missing = {};
  std::int64_t box_seconds = 0;      // how long the script ran, by the box's clock
  Milliseconds waited = Seconds(0);  // how long the call took, connecting included, by ours
};

struct SurveyRequest {
  // Absolute; an empty path means the user's home, and is answered as the home's real path.
  std::vector<std::string> paths = {};
  std::string python = {};  // its torch is asked, "python3" or a path that ends so; empty: none
  int hog_seconds = 6;      // for all of them: an audit must stay a matter of seconds
  std::vector<std::string> mirrors = {};  // https URLs of which a few MiB are fetched
};

// One round trip. Tools looked for: tmux nohup setsid rsync sha256sum base64 stat python3
// nvidia-smi.
Result<Survey> survey(Shell& shell, const SurveyRequest& request, std::stop_token stop);
Result<Survey> parse_survey(std::string_view answer);  // fuzzed

}  // namespace rgt
