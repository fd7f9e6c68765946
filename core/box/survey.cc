// SPDX-License-Identifier: MIT
#include "core/box/survey.h"

#include "core/base/text.h"
#include "core/box/fields.h"
#include "core/box/onbox.h"

namespace rgt {
namespace {

constexpr std::size_t kLine = 200;      // bytes of a name or version that a person will read
constexpr std::size_t kPath = 4096;     // PATH_MAX of Linux
constexpr std::size_t kMaxMounts = 64;  // asked paths; audit asks for a handful
constexpr std::size_t kMaxGpus = 64;    // per machine; the largest today has 16
constexpr std::size_t kMaxTools = 32;   // the script's list has 9

// nvidia-smi prints "[N/A]" or "[Not Supported]" for what a card does not tell.
std::string told(std::string_view field) {
  field = trim(field);
  if (field.empty() || field[0] == '[' || field == "N/A") return {};
  return clean_line(field, kLine);
}

// "0, NVIDIA H100 80GB HBM3, 550.54.15, 81559, 4, 0, 0, Disabled"
GpuInfo read_gpu(AnswerReader& answer) {
  GpuInfo gpu;
  answer.take("gpu", 1);
  const std::string row = answer.text(0);
  const std::vector<std::string_view> fields = split(row, ',');
  if (answer.ok() && fields.size() != 8) answer.fail("a GPU's row with 8 columns");
  if (!answer.ok()) return gpu;
  const auto index = parse_uint(trim(fields[0]));
  if (!index || *index > 1024) answer.fail("a GPU's index");
  gpu.index = static_cast<int>(index.value_or(0) & 1023);
  gpu.name = told(fields[1]);
  gpu.driver = told(fields[2]);
  gpu.memory_total_mib = parse_uint(trim(fields[3])).value_or(0);
  gpu.memory_used_mib = parse_uint(trim(fields[4])).value_or(0);
  const auto busy = parse_uint(trim(fields[5]));
  if (busy && *busy <= 100) gpu.utilisation_percent = static_cast<int>(*busy);
  gpu.ecc_errors = told(fields[6]);
  gpu.mig = told(fields[7]);
  return gpu;
}

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
  survey.machine_id = read_text(answer, "machine");
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
  answer.take("memory", 5);
  survey.memory_total = answer.number(0);
  survey.memory_limit = answer.number(1);
  survey.memory_used = answer.number(2);
  survey.oom_kills = answer.number(3);
  survey.cgroup = std::string(answer.raw(4));
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
  answer.take("nvidia-smi", 2);
  survey.nvidia_smi_present = answer.flag(0);
  survey.nvidia_smi_error = clean_line(answer.text(1), 500);
  while (answer.at("gpu") && survey.gpus.size() < kMaxGpus) {
    survey.gpus.push_back(read_gpu(answer));
  }
}

void read_tools(AnswerReader& answer, Survey& survey) {
  std::size_t count = 0;
  while (answer.at("tool") && count++ < kMaxTools) {
    answer.take("tool", 2);
    const std::string tool = answer.name(0);
    (answer.flag(1) ? survey.tools_present : survey.tools_missing).push_back(tool);
  }
}

}  // namespace

Result<Survey> parse_survey(std::string_view text) {
  AnswerReader answer(text, "rgt-survey 1");
  Survey survey;
  read_machine(answer, survey);
  read_resources(answer, survey);
  read_gpus(answer, survey);
  read_tools(answer, survey);
  answer.take("end", 0);
  if (!answer.ok()) return answer.error();
  return survey;
}

Result<Survey> survey(Shell& shell, const std::vector<std::string>& paths, std::stop_token stop) {
  for (const std::string& path : paths) {
    const bool whole = path.empty() || path[0] == '/';  // empty: the home folder
    if (whole && path.size() <= kPath && path.find('\0') == std::string::npos &&
        paths.size() <= kMaxMounts) {
      continue;
    }
    return Error{Code::invalid_argument,
                 "'" + clean_line(path, kLine) + "' cannot be surveyed: expected at most " +
                     std::to_string(kMaxMounts) + " absolute paths",
                 "name folders on the box by their full path, such as /workspace"};
  }
  const std::string script = onbox_script("survey");
  ScriptCall call;
  call.script = script;
  call.args = paths;
  call.idle_timeout = Seconds(30);  // a dead mount costs df its 5 s twice, nvidia-smi may take 10 s
  call.total_timeout = Seconds(120);
  auto text = onbox_answer(shell.run(call, stop), "the survey");
  if (!text) return text.error();
  return parse_survey(*text);
}

}  // namespace rgt
