// SPDX-License-Identifier: MIT
// What nvidia-smi and the kernel log say about a machine's GPUs. The box sends their words as they
// are; all reading is here, pure and bounded. Names and units: `nvidia-smi --help-query-gpu`; bits
// and meanings: nvml.h; Xid codes: NVIDIA, "XID Errors". What a driver or a card does not tell is
// nullopt, never 0: fields come and go with driver generations and cards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rgt {

// One question to nvidia-smi and its words, stdout and stderr together.
struct GpuAnswer {
  std::string question = {};  // "gpu": CSV with a header line; "remapped", "apps": likewise;
                              // "header": plain nvidia-smi; "list": nvidia-smi -L; "hang": none
  int status = 0;             // exit status; 124: it gave no answer in time
  std::string text = {};
};

struct GpuInfo {
  int index = 0;
  std::string uuid = {}, name = {};
  std::string bus_id = {};  // "0000:3b:00.0", lower case, as the kernel log has it
  std::string driver = {};
  bool lost = false;  // nvidia-smi says that it is lost or needs a reset
  std::optional<std::uint64_t> memory_total_mib = {}, memory_used_mib = {};
  std::optional<int> utilisation_percent = {};
  std::optional<int> temperature_celsius = {};
  std::optional<double> power_watts = {}, power_limit_watts = {}, power_default_watts = {};
  std::optional<int> sm_clock_mhz = {}, sm_clock_max_mhz = {};
  std::optional<std::uint64_t> slowdowns = {};  // bits of clocks_event_reasons.active, or of its
                                                // name up to driver 530: clocks_throttle_reasons
  std::optional<bool> ecc_on = {};
  std::optional<std::uint64_t> ecc_uncorrected = {};          // since the driver was loaded
  std::optional<std::uint64_t> ecc_uncorrected_ever = {};     // over the card's life
  std::optional<bool> retirement_pending = {};                // pages, cards up to Volta
  std::optional<bool> remap_pending = {}, remap_failed = {};  // rows, cards from Ampere on
  std::optional<bool> mig_on = {};
  std::vector<std::string> mig_devices = {};  // "1g.10gb"
  std::optional<bool> persistence = {};
  std::string compute_mode = {};                            // "Default", "Exclusive_Process", ...
  std::optional<int> pcie_width = {}, pcie_width_max = {};  // lanes
};

struct GpuProcess {
  std::string gpu_uuid = {};
  std::uint64_t pid = 0;  // as the driver counts: a container may know it under another number
  std::string name = {};
  std::optional<std::uint64_t> memory_mib = {};
};

struct XidEvent {
  std::string bus_id = {};  // "0000:3b:00.0"; the kernel writes it without the function
  int code = 0;
  std::string words = {};
};

struct GpuReport {
  std::string trouble = {};  // nvidia-smi's own words when it failed or hung; may stand beside rows
  std::string driver = {};
  std::string cuda = {};  // newest CUDA that the driver runs, "12.4"; empty: not told
  std::vector<GpuInfo> gpus = {};
  bool processes_told = false;
  bool slices_told = false;  // mig_devices of all GPUs are complete
  std::vector<GpuProcess> processes = {};
};

// At most 64 GPUs, 512 processes, 64 MIG devices; texts are clean lines. Fuzzed.
GpuReport read_gpu_answers(const std::vector<GpuAnswer>& answers);

// "[Sat Nov 21 ...] NVRM: Xid (PCI:0000:3b:00): 79, pid=..., GPU has fallen off the bus."
std::optional<XidEvent> read_xid(std::string_view kernel_line);

// What a program may have caused itself (a bad memory access), hardware that is failing, or a fault
// whose side is not known.
enum class XidBlame { program, hardware, unknown };
XidBlame blame_xid(int code);

// Bits of nvmlClocksEventReasons in words; unknown bits are named by number.
std::vector<std::string> slowdown_names(std::uint64_t bits);
// Those that cost speed and tell of a machine that is not well: heat, power brake, HW slowdown.
inline constexpr std::uint64_t kBadSlowdowns = 0x08 | 0x20 | 0x40 | 0x80;

// Memory in use that no listed process holds (U11); nullopt where a part of the sum is not told.
std::optional<std::uint64_t> unlisted_memory_mib(const GpuReport& report, const GpuInfo& gpu);

}  // namespace rgt
