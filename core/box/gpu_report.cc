// SPDX-License-Identifier: MIT
#include "core/box/gpu_report.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kLine = 200;          // bytes of a name or version that a person will read
constexpr std::size_t kTrouble = 500;       // bytes of nvidia-smi's own words: a paragraph
constexpr std::size_t kMaxGpus = 64;        // per machine; the largest today has 16
constexpr std::size_t kMaxProcesses = 512;  // 16 GPUs, each with 32: more is not read by anybody
constexpr std::size_t kMaxMigDevices = 64;  // per card; 7 today
constexpr std::size_t kMaxColumns = 64;     // we ask for 24
constexpr std::uint64_t kMaxIndex = 1023;   // of a GPU

using Row = std::vector<std::string_view>;

struct Table {
  Row header = {};  // names without their units: "memory.total"
  std::vector<Row> rows = {};
};

// "[N/A]", "[Not Supported]", "[Unknown Error]", "ERR!", "N/A", "": nothing was told.
bool is_told(std::string_view field) {
  return !field.empty() && field[0] != '[' && field != "N/A" && field != "ERR!" &&
         field != "Unknown Error" && field != "Not Supported";
}

std::optional<std::uint64_t> whole(std::string_view field) {
  if (const auto value = parse_uint(field)) return *value <= (1ull << 40) ? value : std::nullopt;
  return std::nullopt;
}

// A whole number up to `max`; drivers print some of them with decimals.
std::optional<int> small(std::string_view field, int max) {
  const auto value = parse_double(field);
  if (!value || *value < 0 || *value > max) return std::nullopt;
  return static_cast<int>(*value);
}

std::optional<double> watts(std::string_view field) {
  const auto value = parse_double(field);
  return value && *value >= 0 && *value < 100000 ? value : std::nullopt;
}

std::optional<bool> yes_no(std::string_view field) {
  if (field == "Enabled" || field == "Yes" || field == "1") return true;
  if (field == "Disabled" || field == "No" || field == "0") return false;
  return std::nullopt;
}

std::optional<std::uint64_t> bits(std::string_view field) {
  if (field.size() < 3 || field.size() > 18 || field.substr(0, 2) != "0x") return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : to_lower(field.substr(2))) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

// "00000000:3B:00.0" as the kernel writes it: "0000:3b:00.0". Anything else is no bus id.
std::string bus(std::string_view field) {
  std::string id = to_lower(field.substr(0, 32));
  const std::size_t colon = id.find(':');
  if (colon == std::string::npos || id.find_first_not_of("0123456789abcdef:.") != std::string::npos)
    return {};
  if (colon > 4) id.erase(0, colon - 4);
  if (id.find('.') == std::string::npos) id += ".0";
  return id;
}

// The line from its column `index` on, commas and all.
std::string_view rest_of(std::string_view line, std::size_t index) {
  for (; index > 0; --index) line.remove_prefix(line.find(',') + 1);
  return trim(line);
}

// Lines before the header and rows of another width are nvidia-smi's complaints: they become words.
// `first` is the header's first column; only the last column may hold a comma.
Table read_table(std::string_view text, std::string_view first, std::string& words) {
  Table table;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    Row row = split(line, ',');
    for (std::string_view& field : row) field = trim(field);
    if (row.size() > kMaxColumns) continue;
    if (table.header.empty() && row[0] == first) {
      for (std::string_view& name : row) name = trim(name.substr(0, name.find(" [")));
      table.header = row;
    } else if (!table.header.empty() && row.size() >= table.header.size()) {
      row.resize(table.header.size());
      row.back() = rest_of(line, row.size() - 1);
      table.rows.push_back(std::move(row));
    } else if (!line.empty() && words.size() < kTrouble) {
      words += (words.empty() ? "" : " ") + clean_line(line, kLine);
    }
    if (table.rows.size() >= kMaxProcesses) break;
  }
  return table;
}

void set_memory(GpuInfo& gpu, std::string_view name, std::string_view field) {
  if (name == "memory.total") gpu.memory_total_mib = whole(field);
  if (name == "memory.used") gpu.memory_used_mib = whole(field);
  if (name == "ecc.mode.current") gpu.ecc_on = yes_no(field);
  if (name == "ecc.errors.uncorrected.volatile.total") gpu.ecc_uncorrected = whole(field);
  if (name == "ecc.errors.uncorrected.aggregate.total") gpu.ecc_uncorrected_ever = whole(field);
  if (name == "retired_pages.pending") gpu.retirement_pending = yes_no(field);
}

void set_speed(GpuInfo& gpu, std::string_view name, std::string_view field) {
  if (name == "utilization.gpu") gpu.utilisation_percent = small(field, 100);
  if (name == "temperature.gpu") gpu.temperature_celsius = small(field, 200);
  if (name == "power.draw") gpu.power_watts = watts(field);
  if (name == "power.limit") gpu.power_limit_watts = watts(field);
  if (name == "power.default_limit") gpu.power_default_watts = watts(field);
  if (name == "clocks.sm" || name == "clocks.current.sm") gpu.sm_clock_mhz = small(field, 20000);
  if (name == "clocks.max.sm") gpu.sm_clock_max_mhz = small(field, 20000);
  if (name == "clocks_event_reasons.active" || name == "clocks_throttle_reasons.active") {
    gpu.slowdowns = bits(field);
  }
  if (name == "pcie.link.width.current") gpu.pcie_width = small(field, 64);
  if (name == "pcie.link.width.max") gpu.pcie_width_max = small(field, 64);
}

void set_field(GpuInfo& gpu, std::string_view name, std::string_view field) {
  const std::string lower = to_lower(field.substr(0, kLine));
  if (lower == "[gpu is lost]" || lower == "[gpu requires reset]") gpu.lost = true;
  if (!is_told(field)) return;
  if (name == "uuid" || name == "gpu_uuid") gpu.uuid = clean_line(field, kLine);
  if (name == "pci.bus_id") gpu.bus_id = bus(field);
  if (name == "name") gpu.name = clean_line(field, kLine);
  if (name == "driver_version") gpu.driver = clean_line(field, kLine);
  if (name == "mig.mode.current") gpu.mig_on = yes_no(field);
  if (name == "persistence_mode") gpu.persistence = yes_no(field);
  if (name == "compute_mode") gpu.compute_mode = clean_line(field, kLine);
  set_memory(gpu, name, field);
  set_speed(gpu, name, field);
}

GpuInfo* with_index(std::vector<GpuInfo>& gpus, int index) {
  for (GpuInfo& gpu : gpus) {
    if (gpu.index == index) return &gpu;
  }
  if (gpus.size() >= kMaxGpus) return nullptr;
  gpus.push_back({});
  gpus.back().index = index;
  return &gpus.back();
}

GpuInfo* with_uuid(std::vector<GpuInfo>& gpus, std::string_view uuid) {
  for (GpuInfo& gpu : gpus) {
    if (!uuid.empty() && gpu.uuid == uuid) return &gpu;
  }
  return nullptr;
}

bool is_refused_field(std::string_view text) {
  return text.find("is not a valid field to query") != std::string_view::npos;
}

void note_trouble(GpuReport& report, const std::string& words) {
  if (!report.trouble.empty() || words.empty()) return;
  report.trouble = clean_line(words, kTrouble);
}

void read_gpus(const GpuAnswer& answer, GpuReport& report) {
  if (answer.status != 0 && is_refused_field(answer.text))
    return;  // the script asks again in parts
  std::string words;
  const Table table = read_table(answer.text, "index", words);
  for (const Row& row : table.rows) {
    const auto index = parse_uint(row[0]);
    GpuInfo* gpu =
        !index || *index > kMaxIndex ? nullptr : with_index(report.gpus, static_cast<int>(*index));
    for (std::size_t i = 1; gpu != nullptr && i < row.size(); ++i) {
      set_field(*gpu, table.header[i], row[i]);
    }
  }
  if (answer.status != 0 && words.empty()) {
    words = "nvidia-smi ends with exit status " + std::to_string(answer.status);
  }
  note_trouble(report, words);
}

void read_remapped(const GpuAnswer& answer, GpuReport& report) {
  if (answer.status != 0) return;  // drivers before 450 do not know the question
  std::string words;
  const Table table = read_table(answer.text, "gpu_uuid", words);
  for (const Row& row : table.rows) {
    GpuInfo* gpu = with_uuid(report.gpus, row[0]);
    for (std::size_t i = 1; gpu != nullptr && i < row.size(); ++i) {
      if (table.header[i] == "remapped_rows.pending") gpu->remap_pending = yes_no(row[i]);
      if (table.header[i] == "remapped_rows.failure") gpu->remap_failed = yes_no(row[i]);
    }
  }
}

void read_processes(const GpuAnswer& answer, GpuReport& report) {
  if (answer.status != 0) return;
  std::string words;
  const Table table = read_table(answer.text, "gpu_uuid", words);
  report.processes_told = table.header.size() == 4;
  for (const Row& row : table.rows) {
    const auto pid = parse_uint(row[1]);
    if (!report.processes_told || !pid) continue;
    report.processes.push_back({clean_line(row[0], kLine), *pid,
                                is_told(row[3]) ? clean_line(row[3], kLine) : "", whole(row[2])});
  }
}

// "| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4 |"; since driver 600
// "CUDA UMD Version: 13.3".
void read_header(const GpuAnswer& answer, GpuReport& report) {
  for (const std::string_view label : {"CUDA Version:", "CUDA UMD Version:"}) {
    const std::size_t at = answer.text.find(label);
    if (at == std::string::npos || !report.cuda.empty()) continue;
    const std::string_view rest = trim(std::string_view(answer.text).substr(at + label.size(), 16));
    const std::string_view version = rest.substr(0, rest.find_first_not_of("0123456789."));
    if (version.find('.') != std::string_view::npos) report.cuda = std::string(version);
  }
}

// "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-...)", then "  MIG 1g.10gb     Device  0: (UUID:
// MIG-..."
void read_list(const GpuAnswer& answer, GpuReport& report) {
  if (answer.status != 0) return;
  report.slices_told = true;
  GpuInfo* gpu = nullptr;
  for (std::string_view line : split(answer.text, '\n')) {
    line = trim(line);
    if (line.substr(0, 4) == "GPU ") {
      const std::size_t at = line.find("(UUID: ");
      const std::string_view uuid = at == std::string_view::npos ? "" : line.substr(at + 7);
      gpu = with_uuid(report.gpus, uuid.substr(0, uuid.find(')')));
    } else if (gpu != nullptr && line.substr(0, 4) == "MIG " &&
               gpu->mig_devices.size() < kMaxMigDevices) {
      gpu->mig_devices.push_back(clean_line(line.substr(4, line.find("Device") - 4), 40));
    }
  }
}

struct SlowdownName {
  std::uint64_t bit;
  const char* name;
};
// nvml.h, nvmlClocksEventReason*
constexpr std::array<SlowdownName, 9> kSlowdowns{{{0x001, "idle"},
                                                  {0x002, "application clocks"},
                                                  {0x004, "SW power cap"},
                                                  {0x008, "HW slowdown"},
                                                  {0x010, "sync boost"},
                                                  {0x020, "SW thermal slowdown"},
                                                  {0x040, "HW thermal slowdown"},
                                                  {0x080, "HW power brake"},
                                                  {0x100, "display clocks"}}};

}  // namespace

GpuReport read_gpu_answers(const std::vector<GpuAnswer>& answers) {
  GpuReport report;
  for (const GpuAnswer& answer : answers) {
    if (answer.status == 124) {
      note_trouble(report, "nvidia-smi gave no answer within 10 s");
    } else if (answer.question == "gpu") {
      read_gpus(answer, report);
    }
  }
  for (const GpuAnswer& answer : answers) {  // these need the GPUs' uuids
    if (answer.question == "remapped") read_remapped(answer, report);
    if (answer.question == "apps") read_processes(answer, report);
    if (answer.question == "header") read_header(answer, report);
    if (answer.question == "list") read_list(answer, report);
  }
  for (const GpuInfo& gpu : report.gpus) {
    if (report.driver.empty()) report.driver = gpu.driver;
  }
  if (report.gpus.empty() && report.trouble.empty()) report.trouble = "nvidia-smi lists no GPU";
  return report;
}

std::optional<XidEvent> read_xid(std::string_view line) {
  constexpr std::string_view kMark = "Xid (PCI:";
  const std::size_t at = line.find(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = line.substr(at + kMark.size());
  const std::size_t close = rest.find("): ");
  if (close == std::string_view::npos || close > 32) return std::nullopt;
  const std::string_view tail = rest.substr(close + 3);
  const auto code = parse_uint(tail.substr(0, tail.find_first_not_of("0123456789")));
  if (!code || *code > 9999) return std::nullopt;
  return XidEvent{bus(rest.substr(0, close)), static_cast<int>(*code),
                  clean_line(line.substr(at), kLine)};
}

XidBlame blame_xid(int code) {
  // Program: 13 graphics exception, 31 MMU fault, 43 stopped channel and 45 its clean-up, 68, 69.
  // Hardware: 48, 92, 94, 95 ECC; 63, 64 row remapping; 61, 62, 110 microcontrollers; 74 NVLink;
  // 79 off the bus; 119, 120 no answer from the GSP; 140 ECC in SRAM; 154 recovery needed.
  constexpr std::array<int, 6> kProgram{13, 31, 43, 45, 68, 69};
  constexpr std::array<int, 15> kHardware{48, 61, 62,  63,  64,  74,  79, 92,
                                          94, 95, 110, 119, 120, 140, 154};
  if (std::find(kProgram.begin(), kProgram.end(), code) != kProgram.end()) return XidBlame::program;
  if (std::find(kHardware.begin(), kHardware.end(), code) != kHardware.end())
    return XidBlame::hardware;
  return XidBlame::unknown;
}

std::vector<std::string> slowdown_names(std::uint64_t bits) {
  std::vector<std::string> names;
  for (const SlowdownName& known : kSlowdowns) {
    if ((bits & known.bit) != 0) names.emplace_back(known.name);
    bits &= ~known.bit;
  }
  if (bits != 0) names.push_back("bits " + std::to_string(bits));
  return names;
}

std::optional<std::uint64_t> unlisted_memory_mib(const GpuReport& report, const GpuInfo& gpu) {
  if (!report.processes_told || !gpu.memory_used_mib || gpu.uuid.empty()) return std::nullopt;
  std::uint64_t listed = 0;
  for (const GpuProcess& process : report.processes) {
    if (process.gpu_uuid != gpu.uuid) continue;
    if (!process.memory_mib) return std::nullopt;
    listed += *process.memory_mib;  // at most 512 values of 2^40
  }
  return *gpu.memory_used_mib > listed ? *gpu.memory_used_mib - listed : 0;
}

}  // namespace rgt
