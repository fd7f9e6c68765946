// SPDX-License-Identifier: MIT
// audit: measures a box before money is spent on it. One round trip, read only; every check carries
// what was measured, the limit it was held against, and the fix. What is not checked yet is listed.
#include "tools/audit.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/text.h"
#include "core/box/survey.h"
#include "tools/boxes_seen.h"
#include "tools/report.h"

namespace rgt {
namespace {

constexpr std::uint64_t kGiB = 1ull << 30;
// Under this a checkpoint of any size is at risk and logs stop mid-line.
constexpr std::uint64_t kDiskFailBytes = kGiB / 2;
constexpr std::uint64_t kDiskWarnBytes =
    5 * kGiB;                              // a 7B checkpoint with optimizer state is larger
constexpr double kInodesWarnShare = 0.10;  // eval dumps eat inodes in bursts of thousands
constexpr double kInodesFailShare = 0.01;
constexpr double kBudgetWarnShare = 0.80;  // of the free bytes; caches and logs want the rest
constexpr std::uint64_t kSmallShm = kGiB;  // container default is 64 MiB; loaders want more
constexpr double kMemoryWarnShare = 0.90;  // the kernel kills at 1.0 and workers grow in steps
constexpr std::int64_t kSkewWarnSeconds = 5;
constexpr std::int64_t kSkewFailSeconds = 300;  // past this TLS and signed storage requests fail

Card card() {
  return Card{
      "audit",
      "Audit a box",
      "Phase 0: measure a rented box (an ssh alias, or `local`) before spending money on it. One "
      "read-only round trip: GPUs, driver, disk bytes AND inodes, cgroup memory and CPU quota, "
      "/dev/shm, tools, clock skew, checkpoint budget. Also says what the platform's stop and "
      "destroy "
      "do to data, and its danger clocks: tell the user. Call first on every new box.",
      input_schema(
          {{"box", {{"type", "string"}, {"minLength", 1}, {"description", "ssh alias or `local`"}}},
           {"profile",
            {{"type", "string"}, {"description", "platform; default local or generic-ssh"}}},
           {"paths",
            {{"type", "array"},
             {"maxItems", 16},
             {"items", {{"type", "string"}, {"pattern", "^/"}}},
             {"description", "absolute folders to measure, e.g. the data and durable mounts"}}},
           {"checkpoint_bytes", {{"type", "integer"}, {"minimum", 0}}},
           {"checkpoints",
            {{"type", "integer"},
             {"minimum", 1},
             {"description", "how many stay on disk at once"}}},
           {"scratch_bytes", {{"type", "integer"}, {"minimum", 0}}}},
          {"box"}),
      output_schema({{"box", {{"type", "string"}}},
                     {"profile", {{"type", "string"}}},
                     {"checks", {{"type", "array"}, {"items", {{"type", "object"}}}}},
                     {"platform", {{"type", "object"}}},
                     {"not_checked", {{"type", "array"}}}},
                    {"box", "checks"}),
      Annotations{.read_only = true, .destructive = false, .idempotent = true}};
}

enum class Grade { pass, warn, fail };
const char* grade_name(Grade grade) {
  return grade == Grade::pass ? "pass" : grade == Grade::warn ? "warn" : "fail";
}

struct Check {
  std::string id = {};
  Grade grade = Grade::pass;
  std::string measured = {};
  std::string limit = {};
  std::string fix = {};
  std::vector<std::string> references = {};
};

using Checks = std::vector<Check>;

std::string percent(double share) { return std::to_string(std::lround(share * 100)) + " %"; }

void check_clock(const Survey& survey, Time now, Checks& checks) {
  const std::int64_t skew = survey.box_time - to_unix(now);
  const std::int64_t size = skew < 0 ? -skew : skew;
  const Grade grade = size > kSkewFailSeconds   ? Grade::fail
                      : size > kSkewWarnSeconds ? Grade::warn
                                                : Grade::pass;
  checks.push_back(
      {"clock_skew",
       grade,
       std::to_string(skew) + " s against this machine",
       "at most " + std::to_string(kSkewWarnSeconds) + " s",
       grade == Grade::pass ? "" : "set the box's clock (chronyc makestep, or ask the provider)",
       {}});
}

void check_gpus(const Survey& survey, const Profile& profile, Checks& checks) {
  if (!survey.nvidia_smi_present || survey.gpus.empty()) {
    const bool broken = survey.nvidia_smi_present;
    const bool expected = profile.kind != "workstation";
    checks.push_back(
        {"gpu",
         broken     ? Grade::fail
         : expected ? Grade::warn
                    : Grade::pass,
         broken ? "nvidia-smi fails: " + clean_line(survey.nvidia_smi_error, 160) : "no nvidia-smi",
         "one NVIDIA GPU or more",
         broken ? "the container has no working GPU: stop paying for this box, rent another"
         : expected
             ? "CPU only as it stands; if you rented a GPU, the image or the instance is wrong"
             : "",
         {"U31", "U28"}});
    return;
  }
  for (const GpuInfo& gpu : survey.gpus) {
    const bool held =
        gpu.memory_total_mib > 0 &&
        static_cast<double>(gpu.memory_used_mib) > 0.05 * static_cast<double>(gpu.memory_total_mib);
    const bool ecc = !gpu.ecc_errors.empty() && gpu.ecc_errors != "0";
    const std::string name = "gpu" + std::to_string(gpu.index);
    checks.push_back(
        {name,
         ecc    ? Grade::fail
         : held ? Grade::warn
                : Grade::pass,
         clean_line(gpu.name, 60) + ", driver " + clean_line(gpu.driver, 20) + ", " +
             std::to_string(gpu.memory_used_mib) + " of " + std::to_string(gpu.memory_total_mib) +
             " MiB in use" +
             (ecc ? ", uncorrected ECC errors " + clean_line(gpu.ecc_errors, 20) : ""),
         "under 5 % in use before a launch, no ECC errors",
         ecc    ? "rent another box: this GPU is failing"
         : held ? "something holds its memory: look with nvidia-smi and fuser -v /dev/nvidia*"
                : "",
         ecc ? std::vector<std::string>{"U22"} : std::vector<std::string>{"U11"}});
  }
}

Grade grade_bytes(const MountSpace& mount) {
  if (mount.bytes_free < kDiskFailBytes) return Grade::fail;
  return mount.bytes_free < kDiskWarnBytes ? Grade::warn : Grade::pass;
}

void check_mount(const MountSpace& mount, Checks& checks) {
  if (mount.mount_point.empty()) {
    checks.push_back({"disk:" + clean_line(mount.path, 80),
                      Grade::fail,
                      "the folder does not exist",
                      "an existing folder",
                      "create it, or name the real mount",
                      {}});
    return;
  }
  const std::string where = clean_line(mount.path, 80);
  checks.push_back(
      {"disk_bytes:" + where,
       mount.writable ? grade_bytes(mount) : Grade::fail,
       human_bytes(mount.bytes_free) + " free of " + human_bytes(mount.bytes_total) + " on " +
           clean_line(mount.mount_point, 80) + (mount.writable ? "" : ", not writable"),
       "writable, " + human_bytes(kDiskWarnBytes) + " free",
       grade_bytes(mount) == Grade::pass && mount.writable
           ? ""
           : "free space (old checkpoints, pip and hub caches) or ask to expand the disk",
       {"U6"}});
  if (mount.inodes_total == 0) return;
  const double share =
      static_cast<double>(mount.inodes_free) / static_cast<double>(mount.inodes_total);
  const Grade grade = share < kInodesFailShare   ? Grade::fail
                      : share < kInodesWarnShare ? Grade::warn
                                                 : Grade::pass;
  checks.push_back(
      {"disk_inodes:" + where,
       grade,
       std::to_string(mount.inodes_free) + " free of " + std::to_string(mount.inodes_total),
       percent(kInodesWarnShare) + " free",
       grade == Grade::pass ? "" : "delete trees of small files, or pack them into shards",
       {"U7", "U25"}});
}

void check_memory(const Survey& survey, Checks& checks) {
  const std::uint64_t limit = survey.memory_limit > 0 ? survey.memory_limit : survey.memory_total;
  const double share =
      limit == 0 ? 0 : static_cast<double>(survey.memory_used) / static_cast<double>(limit);
  const bool high = share > kMemoryWarnShare;
  checks.push_back(
      {"memory",
       high ? Grade::warn : Grade::pass,
       survey.memory_limit > 0
           ? "cgroup " + survey.cgroup + " allows " + human_bytes(survey.memory_limit) +
                 " (the host shows " + human_bytes(survey.memory_total) + "), " +
                 human_bytes(survey.memory_used) + " in use, " + std::to_string(survey.oom_kills) +
                 " OOM kills so far"
           : "no cgroup limit; host has " + human_bytes(survey.memory_total),
       "under " + percent(kMemoryWarnShare) + " of what the cgroup allows",
       high ? "end what uses it, or size loader workers to this limit and not to what `free` shows"
            : "",
       {"U9", "U41"}});
}

void check_cpu(const Survey& survey, Checks& checks) {
  const bool sliced = survey.cpu_quota > 0 && survey.cpu_quota + 0.5 < survey.cpus_visible;
  const int threads =
      std::max(1, static_cast<int>(sliced ? survey.cpu_quota : survey.cpus_visible));
  checks.push_back(
      {"cpu",
       sliced ? Grade::warn : Grade::pass,
       std::to_string(survey.cpus_visible) + " cores visible, quota " +
           (survey.cpu_quota > 0 ? std::to_string(survey.cpu_quota).substr(0, 5) : "none"),
       "quota equals the visible cores",
       sliced ? "set OMP_NUM_THREADS=" + std::to_string(threads) +
                    " and loader workers to match: libraries size pools by visible cores"
              : "",
       {"U40"}});
}

void check_shm(const Survey& survey, Checks& checks) {
  const bool small = survey.shm_total < kSmallShm;
  checks.push_back(
      {"shm",
       small ? Grade::warn : Grade::pass,
       "/dev/shm " + human_bytes(survey.shm_free) + " free of " + human_bytes(survey.shm_total),
       human_bytes(kSmallShm),
       small ? "keep loader workers few, or restart the container with a larger --shm-size" : "",
       {"U10"}});
}

void check_tools(const Survey& survey, const std::string& box, Checks& checks) {
  const auto missing = [&](const char* tool) {
    return std::find(survey.tools_missing.begin(), survey.tools_missing.end(), tool) !=
           survey.tools_missing.end();
  };
  const auto add = [&](const char* id, Grade grade, const std::string& measured, const char* limit,
                       const std::string& fix) {
    checks.push_back({id, grade, measured, limit, fix, {}});
  };
  const bool core = missing("sha256sum") || missing("base64") || missing("stat");
  add("tools:coreutils", core ? Grade::fail : Grade::pass,
      core ? "sha256sum, base64 or stat missing" : "present", "coreutils",
      core ? "apt-get install -y coreutils" : "");
  const bool tmux = missing("tmux");
  const bool setsid = missing("setsid") || missing("nohup");
  add("tools:detach",
      tmux && setsid ? Grade::fail
      : tmux         ? Grade::warn
                     : Grade::pass,
      tmux ? (setsid ? "neither tmux nor setsid+nohup" : "no tmux; nohup will be used") : "tmux",
      "tmux, or nohup and setsid", tmux ? "apt-get install -y tmux" : "");
  const bool rsync = missing("rsync");
  add("tools:rsync", rsync ? Grade::fail : Grade::pass, rsync ? "missing" : "present",
      "rsync on the box, for resumable pulls",
      rsync ? "apt-get install -y rsync" +
                  std::string(box == kLocalBox ? "" : " on the box, now, while it is idle")
            : "");
}

void check_budget(const Survey& survey, const Json& arguments, const std::string& data_path,
                  Checks& checks) {
  const auto size = static_cast<std::uint64_t>(integer_or(arguments, "checkpoint_bytes", 0));
  if (size == 0) return;
  const auto count = static_cast<std::uint64_t>(integer_or(arguments, "checkpoints", 1));
  const auto scratch = static_cast<std::uint64_t>(integer_or(arguments, "scratch_bytes", 0));
  const double need =
      static_cast<double>(size) * static_cast<double>(count) + static_cast<double>(scratch);
  const MountSpace* data = nullptr;
  for (const MountSpace& mount : survey.mounts) {
    if (mount.path == data_path || data == nullptr) data = &mount;
    if (mount.path == data_path) break;
  }
  const double free = data == nullptr ? 0 : static_cast<double>(data->bytes_free);
  const Grade grade = need > free                      ? Grade::fail
                      : need > kBudgetWarnShare * free ? Grade::warn
                                                       : Grade::pass;
  const auto bytes = [](double value) {
    return value > 1e18 ? std::string("over 1 EB") : human_bytes(static_cast<std::uint64_t>(value));
  };
  checks.push_back(
      {"checkpoint_budget",
       grade,
       bytes(need) + " needed (" + human_bytes(size) + " x " + std::to_string(count) + " + " +
           human_bytes(scratch) + " scratch), " + bytes(free) + " free on " +
           (data == nullptr ? "?" : clean_line(data->path, 80)),
       "at most " + percent(kBudgetWarnShare) + " of what is free",
       grade == Grade::pass ? "" : "keep fewer checkpoints, write elsewhere, or expand the disk",
       {"U6", "C2"}});
}

Json platform_facts(const Profile& profile) {
  const auto survives = [](Survives state) {
    switch (state) {
      case Survives::yes: return "yes";
      case Survives::no: return "no";
      case Survives::billed: return "yes, and keeps billing";
      case Survives::unknown: break;
    }
    return "unknown";
  };
  Json storage = Json::array();
  for (const StorageTier& tier : profile.storage) {
    storage.push_back({{"name", tier.name},
                       {"path", tier.path},
                       {"survives_stop", survives(tier.stop)},
                       {"survives_destroy", survives(tier.destroy)},
                       {"note", tier.note}});
  }
  Json clocks = Json::array();
  for (const DangerClock& clock : profile.danger_clocks)
    clocks.push_back(clock.what + " (" + clock.why + ")");
  return {{"storage", std::move(storage)},
          {"danger_clocks", std::move(clocks)},
          {"conveniences", profile.conveniences},
          {"verified", profile.verified},
          {"meter_stop",
           {{"verb", profile.meter_stop.verb},
            {"irreversible", profile.meter_stop.irreversible},
            {"destroys", profile.meter_stop.destroys},
            {"keeps", profile.meter_stop.keeps}}}};
}

// What this version does not look at, said out loud so that silence is not read as health.
const Json& not_checked() {
  static const Json list = {"GPU throttling, clocks and Xid history",
                            "CUDA and torch versions against the driver",
                            "which folders use the most space", "mirror reachability and speed",
                            "whether the box is really on the platform that the profile names"};
  return list;
}

std::vector<std::string> paths_to_measure(const Json& arguments, const Profile& profile) {
  std::vector<std::string> paths{""};  // the home folder, where runs live by default
  const auto add = [&](const std::string& path) {
    if (!path.empty() && std::find(paths.begin(), paths.end(), path) == paths.end())
      paths.push_back(path);
  };
  add(profile.data_mount);
  add(profile.durable_mount);
  for (const Json& path : arguments.value("paths", Json::array())) add(path.get<std::string>());
  return paths;
}

void write_report(const Survey& survey, const Profile& profile, const std::string& box,
                  const Checks& checks, Report& report) {
  Grade worst = Grade::pass;
  std::size_t bad = 0;
  Json rows = Json::array();
  for (const Check& check : checks) {
    worst = std::max(worst, check.grade);
    Json row{{"id", check.id},
             {"verdict", grade_name(check.grade)},
             {"measured", check.measured},
             {"limit", check.limit}};
    if (check.grade != Grade::pass) {
      ++bad;
      row["fix"] = check.fix;
      row["references"] = check.references;
      report.cite(check.references);
      report.add_next({check.id + ": " + check.fix, "", nullptr});
    }
    report.add_line(std::string(grade_name(check.grade)) + "  " + check.id + "  " + check.measured);
    rows.push_back(std::move(row));
  }
  for (const DangerClock& clock : profile.danger_clocks)
    report.add_line("danger clock: " + clock.what);
  report.set_verdict(grade_name(worst));
  report.set_exit(worst == Grade::pass ? Exit::fine : Exit::attention);
  report.set_summary("Box " + box + ": " + std::string(grade_name(worst)) + ", " +
                     std::to_string(checks.size() - bad) + " of " + std::to_string(checks.size()) +
                     " checks pass (" + clean_line(survey.os, 60) + ", " +
                     std::to_string(survey.gpus.size()) + " GPU).");
  report.field("checks") = std::move(rows);
}

ToolResult audit(Environment& environment, const Json& arguments, const Call& call) {
  const std::string box = text_or(arguments, "box");
  const std::string name = text_or(arguments, "profile", default_profile(environment, box));
  auto profile = environment.handbook.profile(name);
  if (!profile) return usage_error(profile.error());
  auto shell = environment.boxes.shell(box);
  if (!shell) return usage_error(shell.error());

  auto surveyed = survey(**shell, paths_to_measure(arguments, **profile), call.stop);
  if (!surveyed) {
    const Json checks = Json::array({{{"id", "reachable"},
                                      {"verdict", "fail"},
                                      {"measured", surveyed.error().message},
                                      {"fix", surveyed.error().next}}});
    return trouble_report(environment.handbook, surveyed.error(),
                          {{"box", box}, {"profile", name}, {"checks", checks}}, {});
  }
  remember_box(environment, box, name, surveyed->machine_id, (*shell)->host_key(), call.now);

  Checks checks{
      {"reachable", Grade::pass, "answered; host key " + (*shell)->host_key(), "answers", "", {}}};
  check_clock(*surveyed, call.now, checks);
  check_gpus(*surveyed, **profile, checks);
  for (const MountSpace& mount : surveyed->mounts) check_mount(mount, checks);
  check_memory(*surveyed, checks);
  check_cpu(*surveyed, checks);
  check_shm(*surveyed, checks);
  check_tools(*surveyed, box, checks);
  const std::string data = (*profile)->data_mount.empty() ? surveyed->home : (*profile)->data_mount;
  check_budget(*surveyed, arguments, data, checks);

  Report report(environment.handbook, "");
  report.field("box") = box;
  report.field("profile") = name;
  report.field("platform") = platform_facts(**profile);
  report.field("not_checked") = not_checked();
  write_report(*surveyed, **profile, box, checks, report);
  report.add_next(
      {"tell the user the platform's danger clocks and what stop and destroy do to the data, "
       "then launch with every file that must outlive the box named as an artifact",
       "launch",
       {{"job",
         {{"run", "NAME"},
          {"box", box},
          {"cells", {{{"name", "main"}, {"command", "..."}, {"artifacts", {"..."}}}}}}}}});
  return report.finish();
}

}  // namespace

Tool audit_tool(Environment& environment) {
  return {card(), [&environment](const Json& arguments, const Call& call) {
            return audit(environment, arguments, call);
          }};
}

}  // namespace rgt
