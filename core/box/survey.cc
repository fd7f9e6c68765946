// SPDX-License-Identifier: MIT
#include "core/box/survey.h"

#include <algorithm>
#include <chrono>

#include "core/base/text.h"
#include "core/box/fields.h"
#include "core/box/onbox.h"

namespace rgt {
namespace {

constexpr std::size_t kLine = 200;       // bytes of a name or version that a person will read
constexpr std::size_t kPath = 4096;      // PATH_MAX of Linux
constexpr std::size_t kMaxMounts = 64;   // asked paths; audit asks for a handful
constexpr std::size_t kMaxAnswers = 32;  // of nvidia-smi; the script asks at most 14 times
constexpr std::size_t kMaxXids = 64;     // the script sends 40
constexpr std::size_t kMaxSigns = 128;   // the script's list has about 50
constexpr std::size_t kMaxMirrors = 8;
constexpr std::size_t kMaxHogs = 1024;  // the script weighs 500 things
constexpr int kMaxHogSeconds = 60;
constexpr std::size_t kMaxTools = 32;  // the script's list has 9

MountSpace read_mount(AnswerReader& answer) {
  MountSpace mount;
  answer.take("mount", 8);
  mount.path = answer.text(0);
  mount.mount_point = clean_line(answer.text(1), kPath);
  mount.filesystem = clean_line(answer.text(2), kLine);
  mount.bytes_total = answer.number(3);
  mount.bytes_free = answer.number(4);
  mount.inodes_total = answer.number(5);
  mount.inodes_free = answer.number(6);
  mount.writable = answer.flag(7);
  return mount;
}

std::string read_text(AnswerReader& answer, std::string_view key, std::size_t limit = kLine) {
  answer.take(key, 1);
  return clean_line(answer.text(0), limit);
}

void read_machine(AnswerReader& answer, Survey& survey) {
  answer.take("time", 1);
  survey.box_time = answer.integer(0, 0, 1ll << 40);
  survey.boot_id = read_text(answer, "boot");
  survey.machine_id = read_machine_id(answer);
  survey.os = read_text(answer, "os");
  survey.kernel = read_text(answer, "kernel");
  survey.user = read_text(answer, "user");
  answer.take("home", 1);
  survey.home = answer.text(0);  // a path: kept as it is, for it will be used as one
}

void read_resources(AnswerReader& answer, Survey& survey) {
  answer.take("cpu", 3);
  survey.cpus_visible = static_cast<int>(answer.number(0, 1 << 20));
  const auto quota = static_cast<double>(answer.number(1));
  const auto period = static_cast<double>(answer.number(2));
  if (period > 0) survey.cpu_quota = quota / period;
  answer.take("memory", 6);
  survey.memory_total = answer.number(0);
  survey.memory_limit = answer.number(1);
  survey.memory_used = answer.number(2);
  survey.memory_cache = answer.number(3);
  survey.oom_kills = answer.number(4);
  survey.cgroup = std::string(answer.raw(5));
  if (survey.cgroup != "v1" && survey.cgroup != "v2" && survey.cgroup != "none") {
    answer.fail("v1, v2 or none");
  }
  answer.take("shm", 2);
  survey.shm_total = answer.number(0);
  survey.shm_free = answer.number(1);
  while (answer.at("mount") && survey.mounts.size() < kMaxMounts) {
    survey.mounts.push_back(read_mount(answer));
  }
}

void read_gpus(AnswerReader& answer, Survey& survey) {
  std::vector<GpuAnswer> answers;
  while (answer.at("nvidia-smi") && answers.size() < kMaxAnswers) {
    answer.take("nvidia-smi", 3);
    GpuAnswer one;
    one.question = answer.name(0);
    one.status = static_cast<int>(answer.number(1, 1024));
    one.text = answer.text(2);
    answers.push_back(std::move(one));
  }
  survey.nvidia_smi_present = !answers.empty();
  if (survey.nvidia_smi_present) survey.gpu = read_gpu_answers(answers);
  answer.take("xids", 1);
  survey.xid_source = answer.name(0);
  std::size_t count = 0;
  while (answer.at("xid") && count++ < kMaxXids) {
    answer.take("xid", 1);
    if (auto event = read_xid(answer.text(0))) survey.xids.push_back(std::move(*event));
  }
  if (answer.at("torch")) {
    answer.take("torch", 2);
    const int status = static_cast<int>(answer.number(0, 1024));
    survey.torch = read_torch(status, answer.text(1));
  }
}

void read_surroundings(AnswerReader& answer, Survey& survey) {
  while (answer.at("sign") && survey.signs.size() < kMaxSigns) {
    answer.take("sign", 3);
    const std::string platform = answer.name(0);
    const bool strong = answer.flag(1);
    survey.signs.push_back({platform, strong, clean_line(answer.text(2), kLine)});
  }
  while (answer.at("mirror") && survey.mirrors.size() < kMaxMirrors) {
    answer.take("mirror", 5);
    MirrorTry tried;
    tried.url = clean_line(answer.text(0), kLine);
    tried.status = static_cast<int>(answer.number(1, 999));
    tried.bytes_per_second = answer.number(2);
    tried.bytes = answer.number(3);
    tried.proxied = answer.flag(4);
    survey.mirrors.push_back(std::move(tried));
  }
}

void read_hogs(AnswerReader& answer, Survey& survey) {
  while (answer.at("hog") && survey.hogs.size() < kMaxHogs) {
    answer.take("hog", 5);
    Hog hog;
    hog.path = clean_line(answer.text(0), kPath);
    hog.target = clean_line(answer.text(1), kPath);
    hog.mount_point = clean_line(answer.text(2), kPath);
    hog.bytes = answer.number(3, UINT64_MAX >> 12) * 1024;
    hog.whole = answer.flag(4);
    survey.hogs.push_back(std::move(hog));
  }
  answer.take("hogs", 1);
  survey.hogs_whole = answer.flag(0);
  std::stable_sort(survey.hogs.begin(), survey.hogs.end(),
                   [](const Hog& a, const Hog& b) { return a.bytes > b.bytes; });
}

void read_tools(AnswerReader& answer, Survey& survey) {
  std::size_t count = 0;
  while (answer.at("tool") && count++ < kMaxTools) {
    answer.take("tool", 2);
    const std::string tool = answer.name(0);
    (answer.flag(1) ? survey.tools_present : survey.tools_missing).push_back(tool);
  }
}

// A survey only reads: it starts a Python with our own words, and nothing else that a caller names.
bool is_python(std::string_view path) {
  const std::string_view file = path.substr(path.rfind('/') + 1);
  return path.size() <= kPath && path[0] != '-' && file.substr(0, 6) == "python" &&
         file.find_first_not_of("0123456789.", 6) == std::string_view::npos;
}

std::optional<Error> check(const SurveyRequest& request) {
  const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  for (const std::string& path : request.paths) {
    const bool whole = path.empty() || path[0] == '/';  // empty: the home folder
    if (whole && path.size() <= kPath && !has_nul(path) && request.paths.size() <= kMaxMounts) {
      continue;
    }
    return Error{Code::invalid_argument,
                 "'" + clean_line(path, kLine) + "' cannot be surveyed: expected at most " +
                     std::to_string(kMaxMounts) + " absolute paths",
                 "name folders on the box by their full path, such as /workspace"};
  }
  if (!request.python.empty() && (!is_python(request.python) || has_nul(request.python))) {
    return Error{Code::invalid_argument,
                 "'" + clean_line(request.python, kLine) + "' is not named like a Python",
                 "name it as on the box, such as python3 or /root/miniconda3/bin/python"};
  }
  require(request.hog_seconds >= 0 && request.hog_seconds <= kMaxHogSeconds, "hog seconds");
  require(request.mirrors.size() <= kMaxMirrors, "too many mirrors");
  for (const std::string& url : request.mirrors) {
    require(url.substr(0, 8) == "https://" && url.find_first_of(" \t\n*?[") == url.npos, "a URL");
  }
  return std::nullopt;
}

}  // namespace

Result<Survey> parse_survey(std::string_view text) {
  AnswerReader answer(text, "rgt-survey 1");
  Survey survey;
  read_machine(answer, survey);
  read_resources(answer, survey);
  read_gpus(answer, survey);
  read_surroundings(answer, survey);
  read_hogs(answer, survey);
  read_tools(answer, survey);
  answer.take("ended", 1);
  const std::int64_t ended = answer.integer(0, 0, 1ll << 40);
  survey.box_seconds = std::max<std::int64_t>(0, ended - survey.box_time);
  answer.take("end", 0);
  if (!answer.ok()) return answer.error();
  return survey;
}

Result<Survey> survey(Shell& shell, const SurveyRequest& request, std::stop_token stop) {
  if (auto refused = check(request)) return *refused;
  const std::string script = onbox_script("survey");
  ScriptCall call;
  call.script = script;
  call.args = {request.python, std::to_string(request.hog_seconds),
               std::to_string(request.mirrors.size())};
  call.args.insert(call.args.end(), request.mirrors.begin(), request.mirrors.end());
  call.args.insert(call.args.end(), request.paths.begin(), request.paths.end());
  // A dead mount costs df its 5 s twice, nvidia-smi may take 10 s, importing torch 45 s.
  call.idle_timeout = Seconds(request.python.empty() ? 30 : 60);
  call.total_timeout = Seconds(request.python.empty() ? 120 : 180);
  const auto began = std::chrono::steady_clock::now();
  auto text = onbox_answer(shell.run(call, stop), "the survey");
  if (!text) return text.error();
  auto survey = parse_survey(*text);
  if (survey) {
    survey->waited =
        std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - began);
  }
  return survey;
}

}  // namespace rgt
