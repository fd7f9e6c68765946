// SPDX-License-Identifier: MIT
#include "tools/audit_gpu.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr double kHeldShare = 0.05;  // an idle card with ECC shows up to 2 % in use by the driver
constexpr std::uint64_t kUnlistedMib = 512;  // about one CUDA context: nothing smaller is a process
constexpr int kWarmCelsius = 85;             // cards slow down from 83 to 90 on
constexpr int kHotCelsius = 95;              // and shut down a little above this
constexpr double kPowerShare = 0.95;      // of the card's default limit; hosts set it in 5 % steps
constexpr int kBusyPercent = 50;          // below this low clocks are idling, not slowing down
constexpr double kSlowClockShare = 0.70;  // of the maximum; SW power cap alone stays above
constexpr std::size_t kNamedGpus = 8;     // in one line
constexpr std::size_t kNamedProcesses = 3;  // per GPU

// What is to be said about one GPU; an empty text says nothing, though the GPU was judged.
struct Finding {
  Grade grade = Grade::pass;
  std::string text = {};
};
// nullopt: the card or the driver does not tell.
using Judge = std::function<std::optional<Finding>(const GpuInfo&)>;

struct Subject {
  const char* id;
  const char* fine;  // what to say if no GPU has anything to be said of
  const char* limit;
  const char* fix;
  std::vector<std::string> references;
};

// The worst finding counts; a subject that no card tells about is unknown, never fine.
void judge_all(const Survey& survey, const Subject& subject, const Judge& judge, Checks& checks) {
  std::vector<std::string> said;
  std::size_t told = 0, more = 0;
  Grade worst = Grade::pass;
  for (const GpuInfo& gpu : survey.gpu.gpus) {
    const auto finding = judge(gpu);
    if (!finding) continue;
    ++told;
    worst = std::max(worst, finding->grade);
    if (finding->text.empty()) continue;
    if (said.size() == kNamedGpus) {
      ++more;
    } else {
      said.push_back("gpu" + std::to_string(gpu.index) + ": " + finding->text);
    }
  }
  if (more > 0) said.push_back("and " + std::to_string(more) + " more");
  const std::size_t silent = survey.gpu.gpus.size() - told;
  if (told == 0) {
    checks.push_back({subject.id,
                      Grade::unknown,
                      "not reported by this driver or card",
                      subject.limit,
                      "",
                      {},
                      ""});
    return;
  }
  std::string measured = said.empty() ? subject.fine : join(said, "; ");
  if (silent > 0) measured += "; not reported by " + std::to_string(silent);
  if (silent > 0 && worst == Grade::pass) worst = Grade::unknown;
  checks.push_back({subject.id, worst, measured, subject.limit,
                    worst > Grade::unknown ? subject.fix : "", subject.references, ""});
}

std::string times(std::size_t count, const std::string& name) {
  return count == 1 ? name : std::to_string(count) + " x " + name;
}

std::string models(const std::vector<GpuInfo>& gpus) {
  std::map<std::string, std::size_t> count;
  for (const GpuInfo& gpu : gpus) {
    const std::string memory =
        gpu.memory_total_mib ? " (" + std::to_string(*gpu.memory_total_mib) + " MiB)" : "";
    ++count[(gpu.name.empty() ? "GPU without a name" : clean_line(gpu.name, 60)) + memory];
  }
  std::vector<std::string> words;
  for (const auto& [name, number] : count) {
    if (words.size() < kNamedGpus) words.push_back(times(number, name));
  }
  return join(words, ", ");
}

// nvidia-smi's own words have a known remedy each.
Check without_gpu(const Survey& survey, bool expected) {
  const std::string limit = "one NVIDIA GPU or more";
  if (!survey.nvidia_smi_present) {
    return {"gpu",
            expected ? Grade::warn : Grade::pass,
            "no nvidia-smi",
            limit,
            expected ? "CPU only as it stands; if you rented a GPU, the image or the instance is "
                       "wrong"
                     : "",
            {"U31"},
            ""};
  }
  const std::string& words = survey.gpu.trouble;
  const auto says = [&](const char* text) { return words.find(text) != std::string::npos; };
  std::string fix = "the container has no working GPU: stop paying for this box, rent another";
  std::vector<std::string> references{"U31", "U28"};
  if (says("version mismatch")) {
    fix =
        "the driver was updated under the running kernel: restart the box from its console; in a "
        "container its image carries another driver's libraries, so rent another";
    references = {"U28"};
  } else if (says("gave no answer") || says("is lost") || says("device handle")) {
    fix =
        "the GPU no longer answers the driver: restart the box from its console once, or stop "
        "paying for it and rent another";
    references = {"U22"};
  }
  return {"gpu",      Grade::fail, "nvidia-smi fails: " + clean_line(words, 160), limit, fix,
          references, ""};
}

void check_presence(const Survey& survey, Checks& checks) {
  const GpuReport& report = survey.gpu;
  std::size_t lost = 0;
  for (const GpuInfo& gpu : report.gpus) lost += gpu.lost ? 1 : 0;
  std::string measured = models(report.gpus);
  if (!report.driver.empty()) measured += ", driver " + clean_line(report.driver, 20);
  if (!report.cuda.empty()) measured += ", CUDA up to " + report.cuda;
  if (lost > 0) measured += "; " + std::to_string(lost) + " lost";
  if (!report.trouble.empty()) measured += "; " + clean_line(report.trouble, 160);
  const bool bad = lost > 0 || !report.trouble.empty();
  checks.push_back(
      {"gpu",
       bad ? Grade::fail : Grade::pass,
       measured,
       "all GPUs answer",
       bad ? "a GPU does not answer the driver: restart the box from its console once, "
             "or stop paying for it and rent another"
           : "",
       {"U22"},
       ""});
}

std::string process_words(const GpuReport& report, const GpuInfo& gpu) {
  std::vector<std::string> words;
  std::size_t more = 0;
  for (const GpuProcess& process : report.processes) {
    if (process.gpu_uuid != gpu.uuid) continue;
    if (words.size() == kNamedProcesses) {
      ++more;
      continue;
    }
    words.push_back("pid " + std::to_string(process.pid) + " " + clean_line(process.name, 40) +
                    (process.memory_mib ? " " + std::to_string(*process.memory_mib) + " MiB" : ""));
  }
  if (more > 0) words.push_back(std::to_string(more) + " more");
  return join(words, ", ");
}

std::optional<Finding> judge_memory(const GpuReport& report, const GpuInfo& gpu) {
  if (!gpu.memory_used_mib || !gpu.memory_total_mib) return std::nullopt;
  const std::string processes = process_words(report, gpu);
  const auto unlisted = unlisted_memory_mib(report, gpu);
  const auto share = [&](std::uint64_t mib) {
    return static_cast<double>(mib) /
           static_cast<double>(std::max<std::uint64_t>(1, *gpu.memory_total_mib));
  };
  const bool hidden = unlisted && *unlisted > kUnlistedMib && share(*unlisted) > kHeldShare / 2;
  if (!hidden && processes.empty() && share(*gpu.memory_used_mib) <= kHeldShare) return Finding{};
  std::string text = std::to_string(*gpu.memory_used_mib) + " of " +
                     std::to_string(*gpu.memory_total_mib) + " MiB in use";
  if (!processes.empty()) text += " by " + processes;
  if (hidden) text += ", " + std::to_string(*unlisted) + " MiB held by no listed process";
  return Finding{Grade::warn, text};
}

void check_memory_use(const Survey& survey, Checks& checks) {
  judge_all(
      survey,
      {"gpu_memory",
       "free",
       "under 5 % in use, no process, before a launch",
       "end what is yours there (fuser -v /dev/nvidia*), or take another GPU; memory that "
       "nobody holds comes back only when the container or the box restarts",
       {"U11", "GEN7"}},
      [&](const GpuInfo& gpu) { return judge_memory(survey.gpu, gpu); }, checks);
}

std::optional<Finding> judge_ecc(const GpuInfo& gpu) {
  if (gpu.ecc_uncorrected.value_or(0) > 0) {
    return Finding{Grade::fail,
                   std::to_string(*gpu.ecc_uncorrected) + " uncorrected since the driver started"};
  }
  if (!gpu.ecc_uncorrected) return std::nullopt;
  if (gpu.ecc_uncorrected_ever.value_or(0) == 0) return Finding{};
  return Finding{Grade::pass, std::to_string(*gpu.ecc_uncorrected_ever) + " over the card's life"};
}

std::optional<Finding> judge_rows(const GpuInfo& gpu) {
  if (gpu.remap_failed.value_or(false)) return Finding{Grade::fail, "row remapping failed"};
  if (gpu.remap_pending.value_or(false)) return Finding{Grade::warn, "rows wait to be remapped"};
  if (gpu.retirement_pending.value_or(false)) {
    return Finding{Grade::warn, "pages wait to be retired"};
  }
  if (!gpu.remap_pending && !gpu.retirement_pending) return std::nullopt;
  return Finding{};
}

void check_errors(const Survey& survey, Checks& checks) {
  judge_all(survey,
            {"gpu_ecc",
             "no uncorrected errors",
             "0 uncorrected since the driver started",
             "rent another box: this GPU's memory is failing",
             {"U22"}},
            judge_ecc, checks);
  judge_all(survey,
            {"gpu_rows",
             "none pending",
             "no row or page of memory waits to be replaced",
             "bad memory is in use until the GPU is reset: restart the box from its console before "
             "any long run; if it comes back, rent another",
             {"U22"}},
            judge_rows, checks);
}

std::optional<Finding> judge_slowdown(const GpuInfo& gpu) {
  if (!gpu.slowdowns) return std::nullopt;
  const bool bad = (*gpu.slowdowns & kBadSlowdowns) != 0;
  // Idle, a cap by software or set clocks are how a healthy card works.
  return bad ? Finding{Grade::warn, join(slowdown_names(*gpu.slowdowns), " + ")} : Finding{};
}

std::optional<Finding> judge_heat(const GpuInfo& gpu) {
  if (!gpu.temperature_celsius) return std::nullopt;
  const int celsius = *gpu.temperature_celsius;
  if (celsius < kWarmCelsius) return Finding{};
  return Finding{celsius >= kHotCelsius ? Grade::fail : Grade::warn,
                 std::to_string(celsius) + " C"};
}

std::optional<Finding> judge_power(const GpuInfo& gpu) {
  if (!gpu.power_limit_watts || !gpu.power_default_watts) return std::nullopt;
  if (*gpu.power_limit_watts >= kPowerShare * *gpu.power_default_watts) return Finding{};
  return Finding{Grade::warn, "limited to " + std::to_string(std::lround(*gpu.power_limit_watts)) +
                                  " W, the card's default is " +
                                  std::to_string(std::lround(*gpu.power_default_watts)) + " W"};
}

std::optional<Finding> judge_clocks(const GpuInfo& gpu) {
  if (!gpu.sm_clock_mhz || !gpu.sm_clock_max_mhz || !gpu.utilisation_percent) return std::nullopt;
  const bool slow = *gpu.utilisation_percent >= kBusyPercent &&
                    *gpu.sm_clock_mhz < kSlowClockShare * *gpu.sm_clock_max_mhz;
  if (!slow) return Finding{};
  return Finding{Grade::warn, std::to_string(*gpu.sm_clock_mhz) + " of " +
                                  std::to_string(*gpu.sm_clock_max_mhz) + " MHz at " +
                                  std::to_string(*gpu.utilisation_percent) + " % load"};
}

void check_speed(const Survey& survey, Checks& checks) {
  judge_all(survey,
            {"gpu_slowdown",
             "none that costs speed",
             "no thermal, power-brake or HW slowdown",
             "look again under load: nvidia-smi -q -d PERFORMANCE; if it stays, rent another box",
             {"U23"}},
            judge_slowdown, checks);
  judge_all(survey,
            {"gpu_heat",
             "all below 85 C",
             "below 85 C",
             "the card is badly cooled and will run slow: rent another box",
             {"U23"}},
            judge_heat, checks);
  judge_all(survey,
            {"gpu_power",
             "limits as the cards' defaults",
             "at least 95 % of the card's default",
             "the host sells a slower card than its name says: compare the price, or rent another",
             {"U23"}},
            judge_power, checks);
  judge_all(survey,
            {"gpu_clocks",
             "no card is slow under load",
             "70 % of the maximum while busy",
             "look at gpu_slowdown and gpu_heat; if it stays for 10 minutes, rent another box",
             {"U23"}},
            judge_clocks, checks);
}

std::optional<Finding> judge_link(const GpuInfo& gpu) {
  if (!gpu.pcie_width || !gpu.pcie_width_max || *gpu.pcie_width == 0) return std::nullopt;
  if (*gpu.pcie_width >= *gpu.pcie_width_max) return Finding{};
  const std::string text =
      "x" + std::to_string(*gpu.pcie_width) + " of x" + std::to_string(*gpu.pcie_width_max);
  // Boards with two slots run x8 each by design, and it is seldom felt.
  return Finding{*gpu.pcie_width * 2 < *gpu.pcie_width_max ? Grade::warn : Grade::pass, text};
}

std::optional<Finding> judge_mode(const GpuInfo& gpu) {
  if (gpu.compute_mode.empty()) return std::nullopt;
  if (gpu.compute_mode == "Prohibited") return Finding{Grade::fail, "compute is prohibited"};
  if (gpu.compute_mode == "Default") return Finding{};
  return Finding{Grade::warn, clean_line(gpu.compute_mode, 40)};
}

std::optional<Finding> judge_mig(const GpuInfo& gpu, bool told) {
  if (!gpu.mig_on.value_or(false)) return Finding{};  // off, or a card without MIG
  if (!told) return Finding{Grade::warn, "MIG on, slices not told"};
  if (gpu.mig_devices.empty()) return Finding{Grade::fail, "MIG on, but no slice exists"};
  std::map<std::string, std::size_t> count;
  for (const std::string& device : gpu.mig_devices) ++count[device];
  std::vector<std::string> words;
  for (const auto& [name, number] : count) words.push_back(times(number, name));
  return Finding{Grade::warn, "MIG slices " + join(words, ", ")};
}

void check_setup(const Survey& survey, Checks& checks) {
  judge_all(
      survey,
      {"gpu_mig",
       "whole cards",
       "whole cards, unless you rented a slice",
       "a process sees one slice, and slices cannot train together over NCCL; with no slice "
       "CUDA finds no device: ask the provider, or nvidia-smi mig -cgi ... -C",
       {"U31"}},
      [&](const GpuInfo& gpu) { return judge_mig(gpu, survey.gpu.slices_told); }, checks);
  judge_all(survey,
            {"gpu_mode",
             "Default",
             "compute mode Default",
             "only one process (or none) may use this GPU: nvidia-smi -c DEFAULT, or ask the host",
             {"U11"}},
            judge_mode, checks);
  judge_all(survey,
            {"gpu_pcie",
             "full width",
             "at least half of the card's lanes",
             "loading data will starve this GPU (a riser or a bad slot): rent another box",
             {"U24"}},
            judge_link, checks);
}

bool is_ours(const Survey& survey, const XidEvent& event) {
  return std::any_of(survey.gpu.gpus.begin(), survey.gpu.gpus.end(),
                     [&](const GpuInfo& gpu) { return gpu.bus_id == event.bus_id; });
}

// The kernel log is the host's: an event on a card that is not shown here may be a neighbour's, or
// of a card of ours that is lost. One in a log file may be of an earlier boot.
Grade grade_xid(const Survey& survey, const XidEvent& event) {
  if (blame_xid(event.code) == XidBlame::program) return Grade::pass;
  if (event.code == 63 || blame_xid(event.code) == XidBlame::unknown) return Grade::warn;
  return is_ours(survey, event) && survey.xid_source == "dmesg" ? Grade::fail : Grade::warn;
}

void check_xids(const Survey& survey, Checks& checks) {
  const std::string limit = "no hardware Xid in the kernel log";
  if (survey.xid_source == "none") {
    checks.push_back(
        {"gpu_xid", Grade::unknown, "the kernel log is not readable here", limit, "", {}, ""});
    return;
  }
  Grade worst = Grade::pass;
  const XidEvent* shown = nullptr;
  for (const XidEvent& event : survey.xids) {
    const Grade grade = grade_xid(survey, event);
    if (shown == nullptr || grade >= worst) shown = &event;  // the newest of the worst
    worst = std::max(worst, grade);
  }
  std::string measured =
      shown == nullptr ? "none in " : std::to_string(survey.xids.size()) + " in ";
  measured += survey.xid_source == "dmesg" ? "this boot" : "the log file";
  if (shown != nullptr) {
    measured += ": " + clean_line(shown->words, 140) +
                (is_ours(survey, *shown) ? "" : " (not one of the GPUs shown here)");
  }
  checks.push_back({"gpu_xid",
                    worst,
                    measured,
                    limit,
                    worst > Grade::unknown
                        ? "hardware: stop paying for this box, rent another, and "
                          "report the Xid for a refund"
                        : "",
                    {"U22"},
                    ""});
}

// Why CUDA is not available to torch, as far as the versions tell.
Check torch_without_cuda(const Survey& survey, Check check) {
  const TorchReport& torch = survey.torch;
  const auto built = cuda_number(torch.cuda), driver = cuda_number(survey.gpu.cuda);
  check.grade = survey.gpu.gpus.empty() ? Grade::warn : Grade::fail;
  check.references = {"U31"};
  if (torch.cuda.empty()) {
    check.fix = "a CPU-only build: install the CUDA wheel, not above the driver's CUDA version";
  } else if (built && driver && *built / 1000 > *driver / 1000) {
    check.fix =
        "torch was built for a newer CUDA than the driver runs: install the wheel for CUDA " +
        survey.gpu.cuda + " or older, or rent a box with a newer driver";
    check.references = {"U28"};
  } else {
    check.fix =
        "torch sees no GPU: look at CUDA_VISIBLE_DEVICES and at how the container was started";
  }
  return check;
}

void check_torch(const Survey& survey, Checks& checks) {
  const TorchReport& torch = survey.torch;
  if (!torch.asked) return;
  Check check{"torch", Grade::pass, "", "CUDA available, built for this driver and GPU",
              "",      {},          ""};
  if (torch.version.empty()) {
    check.grade = Grade::fail;
    check.measured = clean_line(torch.trouble, 160);
    check.fix = "name the image's own interpreter by its full path, or install torch";
    check.references = {"U5"};
    checks.push_back(std::move(check));
    return;
  }
  check.measured = "torch " + clean_line(torch.version, 40) + " built for " +
                   (torch.cuda.empty() ? "CPU only" : "CUDA " + torch.cuda) +
                   (survey.gpu.cuda.empty() ? "" : ", the driver runs up to " + survey.gpu.cuda) +
                   (torch.devices ? ", sees " + std::to_string(*torch.devices) + " GPU" : "") +
                   (torch.trouble.empty() ? "" : "; " + clean_line(torch.trouble, 120));
  if (!torch.available.value_or(false)) {
    check = torch_without_cuda(survey, std::move(check));
  } else if (has_kernels(torch) == false) {
    check.grade = Grade::fail;
    check.measured += "; no kernels for compute capability " + torch.capability;
    check.fix = "this build cannot run on this GPU: install a torch that lists sm_" +
                torch.capability.substr(0, torch.capability.find('.')) + "x";
    check.references = {"U28"};
  } else if (!torch.trouble.empty()) {
    check.grade = Grade::fail;
    check.fix =
        "CUDA fails to start although torch says that it is there: look at gpu_mode, "
        "gpu_memory and gpu_xid";
    check.references = {"U28", "U22"};
  }
  checks.push_back(std::move(check));
}

}  // namespace

void check_gpus(const Survey& survey, bool gpu_expected, Checks& checks) {
  if (survey.gpu.gpus.empty()) {
    checks.push_back(without_gpu(survey, gpu_expected));
  } else {
    check_presence(survey, checks);
    check_memory_use(survey, checks);
    check_errors(survey, checks);
    check_speed(survey, checks);
    check_setup(survey, checks);
  }
  if (survey.nvidia_smi_present || !survey.xids.empty()) check_xids(survey, checks);
  check_torch(survey, checks);
}

}  // namespace rgt
