// SPDX-License-Identifier: MIT
// audit: measures a box before money is spent on it. One round trip, read only; every check carries
// what was measured, the limit it was held against, and the fix. What was not checked is listed.
#include "tools/audit.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/text.h"
#include "core/box/survey.h"
#include "tools/audit_check.h"
#include "tools/audit_gpu.h"
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
constexpr std::size_t kNamedHogs = 5;      // in one line; the structured result has no more either
constexpr std::uint64_t kMirrorBytesPerSecond = 1u << 20;  // a 15 GB model takes 4 hours at this
constexpr std::uint64_t kSmallShm = kGiB;  // container default is 64 MiB; loaders want more
constexpr double kMemoryWarnShare = 0.90;  // the kernel kills at 1.0 and workers grow in steps
constexpr std::int64_t kSkewWarnSeconds = 5;
constexpr std::int64_t kSkewFailSeconds = 300;  // past this TLS and signed storage requests fail

Card card() {
  return Card{
      "audit",
      "Audit a box",
      "Phase 0: measure a box (ssh alias or `local`) before spending on it. One read-only "
      "round trip: GPU health and who holds its memory, driver, disk bytes AND inodes and what "
      "fills them, cgroup memory and CPU quota, /dev/shm, tools, clock, checkpoint budget, "
      "platform. Says what stop and destroy do to data, and danger clocks: tell the user. Call "
      "first on every new box.",
      input_schema(
          {{"box", {{"type", "string"}, {"minLength", 1}, {"description", "ssh alias, `local`"}}},
           {"profile", {{"type", "string"}, {"description", "platform; default generic-ssh"}}},
           {"paths",
            {{"type", "array"},
             {"maxItems", 16},
             {"items", {{"type", "string"}, {"pattern", "^/"}}},
             {"description", "more folders: data, durable"}}},
           {"python",
            {{"type", "string"},
             {"pattern", "^(/.*/)?python[0-9.]*$"},
             {"description", "whose torch to check"}}},
           {"checkpoint_bytes", {{"type", "integer"}, {"minimum", 0}}},
           {"checkpoints",
            {{"type", "integer"}, {"minimum", 1}, {"description", "how many are kept"}}},
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

const char* grade_name(Grade grade) {
  switch (grade) {
    case Grade::pass: return "pass";
    case Grade::unknown: return "unknown";
    case Grade::warn: return "warn";
    case Grade::fail: break;
  }
  return "fail";
}

std::string percent(double share) { return std::to_string(std::lround(share * 100)) + " %"; }

// The box read its clock at some moment of the call; what the call's own length explains is no
// skew.
std::int64_t skew_seconds(const Survey& survey, Time now) {
  const std::int64_t earliest = to_unix(now);
  const std::int64_t waited = std::chrono::duration_cast<Seconds>(survey.waited).count() + 1;
  const std::int64_t latest = earliest + std::max<std::int64_t>(0, waited - survey.box_seconds);
  if (survey.box_time < earliest) return survey.box_time - earliest;
  return std::max<std::int64_t>(0, survey.box_time - latest);
}

void check_clock(const Survey& survey, Time now, Checks& checks) {
  const std::int64_t skew = skew_seconds(survey, now);
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
       {},
       ""});
}

Grade grade_bytes(const MountSpace& mount) {
  if (mount.bytes_free < kDiskFailBytes) return Grade::fail;
  return mount.bytes_free < kDiskWarnBytes ? Grade::warn : Grade::pass;
}

std::string hog_words(const Hog& hog) {
  std::string words = clean_line(hog.path, 80);
  if (!hog.target.empty()) words += " -> " + clean_line(hog.target, 80);
  return words + (hog.whole ? " " + human_bytes(hog.bytes) : " (too large to weigh in 3 s)");
}

// The largest things on this filesystem, wherever they were looked for.
std::string hogs_on(const Survey& survey, const std::string& mount_point) {
  std::vector<std::string> words;
  for (const bool whole : {true, false}) {
    for (const Hog& hog : survey.hogs) {
      const bool here = mount_point.empty() || hog.mount_point == mount_point;
      if (here && hog.whole == whole && words.size() < kNamedHogs) words.push_back(hog_words(hog));
    }
  }
  return join(words, ", ");
}

std::string space_advice(const Survey& survey, const MountSpace& mount) {
  const std::string hogs = hogs_on(survey, mount.mount_point);
  if (hogs.empty())
    return "free space (old checkpoints, pip and hub caches) or ask to expand the disk";
  return "free space, the largest there: " + hogs + "; or ask to expand the disk";
}

// A platform's mount that is not there must never be made by hand: a folder of the same name on the
// system disk has none of its promises. Runs can do without the durable one, not without the data.
Check missing_mount(const MountSpace& mount, const Profile& profile) {
  Check check{"disk:" + clean_line(mount.path, 80),
              Grade::fail,
              "the folder does not exist",
              "an existing folder",
              "name the real folder",
              {},
              ""};
  const bool durable = mount.path == profile.durable_mount;
  if (!durable && mount.path != profile.data_mount) return check;
  if (durable) check.grade = Grade::warn;
  check.measured = profile.title + " has not mounted it on this box";
  check.limit = durable ? "the mount that outlives the box" : "the mount that work is written to";
  check.fix =
      std::string("do not create the folder, it would lie on the system disk: ") +
      (durable ? "have the platform mount it (the handbook's profile, section Storage, says "
                 "how), or pull every artifact here while the box lives"
               : "look whether the box was rented with it and whether the profile is right");
  for (const StorageTier& tier : profile.storage) {
    if (tier.path == mount.path) check.fix += ". " + tier.name + ": " + tier.note;
  }
  return check;
}

void check_mount(const Survey& survey, const MountSpace& mount, const Profile& profile,
                 Checks& checks) {
  if (mount.mount_point.empty()) {
    checks.push_back(missing_mount(mount, profile));
    return;
  }
  const std::string where = clean_line(mount.path, 80);
  checks.push_back(
      {"disk_bytes:" + where,
       mount.writable ? grade_bytes(mount) : Grade::fail,
       human_bytes(mount.bytes_free) + " free of " + human_bytes(mount.bytes_total) + " on " +
           clean_line(mount.mount_point, 80) + (mount.writable ? "" : ", not writable"),
       "writable, " + human_bytes(kDiskWarnBytes) + " free",
       grade_bytes(mount) == Grade::pass && mount.writable ? "" : space_advice(survey, mount),
       {"U6"},
       ""});
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
       {"U7", "U25"},
       ""});
}

void check_hogs(const Survey& survey, Checks& checks) {
  std::string measured = hogs_on(survey, "");
  if (measured.empty()) measured = "nothing over 100 MiB";
  if (!survey.hogs_whole) measured += "; the time ran out, there may be more";
  checks.push_back({"hogs",
                    survey.hogs_whole ? Grade::pass : Grade::unknown,
                    measured,
                    "the largest in the home folder, the measured folders and the usual caches",
                    "",
                    {"U7"},
                    ""});
}

// File pages count as used until somebody needs the room; only the rest can bring the OOM killer.
void check_memory(const Survey& survey, Checks& checks) {
  const std::uint64_t limit = survey.memory_limit > 0 ? survey.memory_limit : survey.memory_total;
  const std::uint64_t held = survey.memory_used - std::min(survey.memory_used, survey.memory_cache);
  const double share = limit == 0 ? 0 : static_cast<double>(held) / static_cast<double>(limit);
  const bool high = share > kMemoryWarnShare;
  const bool killed = survey.oom_kills > 0;
  checks.push_back(
      {"memory",
       high || killed ? Grade::warn : Grade::pass,
       survey.memory_limit > 0
           ? "cgroup " + survey.cgroup + " allows " + human_bytes(survey.memory_limit) +
                 " (the host shows " + human_bytes(survey.memory_total) + "), " +
                 human_bytes(held) + " in use besides " + human_bytes(survey.memory_used - held) +
                 " of cache, " + std::to_string(survey.oom_kills) + " OOM kills so far"
           : "no cgroup limit; host has " + human_bytes(survey.memory_total),
       "under " + percent(kMemoryWarnShare) + " of what the cgroup allows, no OOM kill",
       high     ? "end what uses it, or size loader workers to this limit and not to what `free` "
                  "shows"
       : killed ? "something was killed for memory here before: size loader workers to this limit"
                : "",
       {"U9", "U41"},
       ""});
}

void check_cpu(const Survey& survey, Checks& checks) {
  const bool sliced = survey.cpu_quota > 0 && survey.cpu_quota + 0.5 < survey.cpus_visible;
  const double cores = sliced ? survey.cpu_quota : survey.cpus_visible;
  const auto processes = static_cast<double>(std::max<std::size_t>(1, survey.gpu.gpus.size()));
  const int threads = std::max(1, static_cast<int>(cores / processes));
  checks.push_back(
      {"cpu",
       sliced ? Grade::warn : Grade::pass,
       std::to_string(survey.cpus_visible) + " cores visible, quota " +
           (survey.cpu_quota > 0 ? std::to_string(survey.cpu_quota).substr(0, 5) : "none") + "; " +
           std::to_string(threads) + " threads and as many loader workers per GPU process",
       "quota equals the visible cores",
       sliced ? "set OMP_NUM_THREADS=" + std::to_string(threads) +
                    " and loader workers to match: libraries size pools by visible cores"
              : "",
       {"U40"},
       ""});
}

void check_shm(const Survey& survey, Checks& checks) {
  const bool small = survey.shm_total < kSmallShm;
  checks.push_back(
      {"shm",
       small ? Grade::warn : Grade::pass,
       "/dev/shm " + human_bytes(survey.shm_free) + " free of " + human_bytes(survey.shm_total),
       human_bytes(kSmallShm),
       small ? "keep loader workers few, or restart the container with a larger --shm-size" : "",
       {"U10"},
       ""});
}

void check_tools(const Survey& survey, const std::string& box, Checks& checks) {
  const auto missing = [&](const char* tool) {
    return std::find(survey.tools_missing.begin(), survey.tools_missing.end(), tool) !=
           survey.tools_missing.end();
  };
  const auto add = [&](const char* id, Grade grade, const std::string& measured, const char* limit,
                       const std::string& fix) {
    checks.push_back({id, grade, measured, limit, fix, {}, ""});
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
       {"U6", "C2"},
       ""});
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

bool is_generic(const std::string& profile) {
  return profile == "local" || profile == "generic-ssh";
}

// Rentals are often pods or Slurm jobs themselves, so these two contradict no other profile.
bool is_substrate(const std::string& platform) {
  return platform == "kubernetes" || platform == "slurm";
}

Check judge_platform(const PlatformGuess& guess, const std::string& profile, bool own_signs) {
  Check check{"platform", Grade::pass, "", "signs of the platform that the profile is for",
              "",         {},          ""};
  if (guess.sureness == Sureness::none) {
    check.measured =
        is_generic(profile) ? "no platform recognised" : "no sign of " + profile + " on the box";
    if (!is_generic(profile)) check.grade = Grade::unknown;
    return check;
  }
  check.measured = std::string(guess.sureness == Sureness::confirmed ? "" : "probably ") +
                   guess.platform + ": " + join(guess.signs, ", ");
  if (profile_covers(profile, guess.platform) || is_substrate(guess.platform)) return check;
  const bool sure = guess.sureness == Sureness::confirmed && !own_signs && !is_generic(profile);
  check.grade = sure ? Grade::fail : Grade::warn;
  check.fix = "profile " + profile +
              " says what stops the meter and what survives on another "
              "platform: ask the user where this box was rented";
  return check;
}

void check_platform(const Survey& survey, const Handbook& handbook, const std::string& profile,
                    Checks& checks) {
  const PlatformGuess guess = recognise_platform(survey.signs);
  const bool own =
      std::any_of(survey.signs.begin(), survey.signs.end(), [&](const PlatformSign& sign) {
        return sign.strong && profile_covers(profile, sign.platform);
      });
  Check check = judge_platform(guess, profile, own);
  for (const Profile& known : handbook.profiles()) {
    if (check.grade > Grade::unknown && profile_covers(known.name, guess.platform))
      check.audit_as = known.name;
  }
  checks.push_back(std::move(check));
}

// Where hub and package downloads go from behind the great firewall; a few MiB of each are fetched.
std::vector<std::string> mirrors_to_try(const Profile& profile) {
  if (!profile.china_mirror_needed) return {};
  return {"https://hf-mirror.com/openai-community/gpt2/resolve/main/model.safetensors",
          "https://pypi.tuna.tsinghua.edu.cn/simple/"};
}

void check_mirrors(const Survey& survey, std::size_t asked, Checks& checks) {
  if (asked > 0 && survey.mirrors.empty()) {
    checks.push_back({"mirror",
                      Grade::unknown,
                      "no curl on the box to try with",
                      "an answer at 1 MiB/s",
                      "",
                      {},
                      ""});
  }
  for (const MirrorTry& tried : survey.mirrors) {
    const bool answers = tried.status == 200 || tried.status == 206;
    const bool slow = tried.bytes_per_second < kMirrorBytesPerSecond;
    const std::string host = std::string(split(tried.url, '/').at(2));
    checks.push_back({"mirror:" + host,
                      answers && !slow ? Grade::pass : Grade::warn,
                      (tried.status == 0 ? std::string("no answer")
                                         : "HTTP " + std::to_string(tried.status) + ", " +
                                               human_bytes(tried.bytes_per_second) + "/s") +
                          (tried.proxied ? " through the set proxy" : " without a proxy"),
                      "an answer at 1 MiB/s",
                      answers && !slow ? ""
                      : tried.proxied  ? "unset the proxy for domestic mirrors, and measure again"
                                       : "take another mirror, or push the files from here",
                      {"U15"},
                      ""});
  }
}

// What was not looked at, said out loud so that silence is not read as health.
Json not_checked(const Survey& survey, const Profile& profile) {
  Json list = Json::array();
  if (!survey.torch.asked)
    list.push_back("torch and its CUDA against the driver (argument python)");
  if (!profile.china_mirror_needed) list.push_back("download speed (the profile needs no mirror)");
  list.push_back("GPU clocks and heat under load");
  list.push_back("links between GPUs (NVLink, NCCL)");
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

void write_row(const Check& check, const std::string& box, Report& report, Json& rows) {
  Json row{{"id", check.id},
           {"verdict", grade_name(check.grade)},
           {"measured", check.measured},
           {"limit", check.limit}};
  if (check.grade > Grade::unknown) {
    row["fix"] = check.fix;
    row["references"] = check.references;
    report.cite(check.references);
    const bool again = !check.audit_as.empty();
    report.add_next({check.id + ": " + check.fix, again ? "audit" : "",
                     again ? Json{{"box", box}, {"profile", check.audit_as}} : Json(nullptr)});
  }
  report.add_line(std::string(grade_name(check.grade)) + "  " + check.id + "  " + check.measured);
  rows.push_back(std::move(row));
}

void write_report(const Survey& survey, const Profile& profile, const std::string& box,
                  const Checks& checks, Report& report) {
  Grade worst = Grade::pass;
  std::size_t passed = 0, unknown = 0;
  Json rows = Json::array();
  // The worst come first: a host may cut a long text.
  for (const Grade grade : {Grade::fail, Grade::warn, Grade::unknown, Grade::pass}) {
    for (const Check& check : checks) {
      if (check.grade == grade) write_row(check, box, report, rows);
    }
  }
  for (const Check& check : checks) {
    passed += check.grade == Grade::pass ? 1 : 0;
    unknown += check.grade == Grade::unknown ? 1 : 0;
    if (check.grade != Grade::unknown) worst = std::max(worst, check.grade);
  }
  for (const DangerClock& clock : profile.danger_clocks)
    report.add_line("danger clock: " + clock.what);
  report.set_verdict(grade_name(worst));
  report.set_exit(worst == Grade::pass ? Exit::fine : Exit::attention);
  report.set_summary(
      "Box " + box + ": " + std::string(grade_name(worst)) + ", " + std::to_string(passed) +
      " of " + std::to_string(checks.size()) + " checks pass" +
      (unknown > 0 ? ", " + std::to_string(unknown) + " not measurable here" : "") + " (" +
      clean_line(survey.os, 60) + ", " + std::to_string(survey.gpu.gpus.size()) + " GPU).");
  report.field("checks") = std::move(rows);
}

ToolResult audit(Environment& environment, const Json& arguments, const Call& call) {
  const std::string box = text_or(arguments, "box");
  const std::string name = text_or(arguments, "profile", default_profile(environment, box));
  auto profile = environment.handbook.profile(name);
  if (!profile) return usage_error(profile.error());
  auto shell = environment.boxes.shell(box);
  if (!shell) return usage_error(shell.error());

  SurveyRequest request;
  request.paths = paths_to_measure(arguments, **profile);
  request.python = text_or(arguments, "python");
  request.mirrors = mirrors_to_try(**profile);
  auto surveyed = survey(**shell, request, call.stop);
  if (!surveyed) {
    const Json checks = Json::array({{{"id", "reachable"},
                                      {"verdict", "fail"},
                                      {"measured", surveyed.error().message},
                                      {"fix", surveyed.error().next}}});
    return trouble_report(environment.handbook, surveyed.error(),
                          {{"box", box}, {"profile", name}, {"checks", checks}}, {});
  }
  remember_box(environment, box, name, surveyed->machine_id, (*shell)->host_key(), call.now);

  Checks checks{{"reachable",
                 Grade::pass,
                 "answered; host key " + (*shell)->host_key(),
                 "answers",
                 "",
                 {},
                 ""}};
  check_clock(*surveyed, call.now, checks);
  check_platform(*surveyed, environment.handbook, name, checks);
  check_gpus(*surveyed, (*profile)->kind != "workstation", checks);
  for (const MountSpace& mount : surveyed->mounts) check_mount(*surveyed, mount, **profile, checks);
  check_hogs(*surveyed, checks);
  check_memory(*surveyed, checks);
  check_cpu(*surveyed, checks);
  check_shm(*surveyed, checks);
  check_tools(*surveyed, box, checks);
  check_mirrors(*surveyed, request.mirrors.size(), checks);
  const std::string data = (*profile)->data_mount.empty() ? surveyed->home : (*profile)->data_mount;
  check_budget(*surveyed, arguments, data, checks);

  Report report(environment.handbook, "");
  report.field("box") = box;
  report.field("profile") = name;
  report.field("platform") = platform_facts(**profile);
  report.field("not_checked") = not_checked(*surveyed, **profile);
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
