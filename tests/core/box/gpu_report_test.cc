// SPDX-License-Identifier: MIT
#include "core/box/gpu_report.h"

#include <catch2/catch.hpp>
#include <random>

#include "core/base/text.h"

namespace rgt {
namespace {

const std::string kHeader =
    "index, uuid, pci.bus_id, name, memory.total [MiB], memory.used [MiB], temperature.gpu, "
    "power.draw [W], ecc.errors.uncorrected.volatile.total, mig.mode.current\n";

GpuReport read(const std::string& rows) { return read_gpu_answers({{"gpu", 0, kHeader + rows}}); }

}  // namespace

TEST_CASE("whatever a card does not tell is unknown, never 0") {
  for (const char* word :
       {"[N/A]", "[Not Supported]", "[Unknown Error]", "ERR!", "N/A", "", "-1", "1e99", "nan",
        "18446744073709551616", "[Insufficient Permissions]", "[GPU requires reset]"}) {
    INFO(word);
    const std::string w = word;
    const GpuReport report = read("0, GPU-a, " + w + ", " + w + ", " + w + ", " + w + ", " + w +
                                  ", " + w + ", " + w + ", " + w + "\n");
    REQUIRE(report.gpus.size() == 1);
    const GpuInfo& gpu = report.gpus[0];
    CHECK_FALSE(gpu.memory_total_mib);
    CHECK_FALSE(gpu.memory_used_mib);
    CHECK_FALSE(gpu.temperature_celsius);
    CHECK_FALSE(gpu.power_watts);
    CHECK_FALSE(gpu.ecc_uncorrected);
    CHECK_FALSE(gpu.mig_on);
    CHECK_FALSE(gpu.slowdowns);  // its column is missing
    CHECK(gpu.lost == (w == "[GPU requires reset]"));
  }
}

TEST_CASE("answers in parts are put together by the GPU's index") {
  const GpuReport report = read_gpu_answers(
      {{"gpu", 2, "Field \"mig.mode.current\" is not a valid field to query.\n\n"},
       {"gpu", 0, "index, uuid, name\n0, GPU-a, A\n1, GPU-b, B\n"},
       {"gpu", 0, "index, uuid, clocks_throttle_reasons.active\n1, GPU-b, 0x0000000000000020\n"},
       {"gpu", 2, "Field \"x\" is not a valid field to query.\n"}});
  REQUIRE(report.gpus.size() == 2);
  CHECK(report.trouble.empty());
  CHECK(report.gpus[1].name == "B");
  CHECK(report.gpus[1].slowdowns == 0x20u);
  CHECK_FALSE(report.gpus[0].slowdowns);
}

TEST_CASE("a complaint between the rows is kept beside them") {
  const GpuReport report = read_gpu_answers(
      {{"gpu", 255,
        "Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error\n"
        "index, uuid, name\n0, GPU-a, A\n"}});
  CHECK(report.gpus.size() == 1);
  CHECK(report.trouble.find("device handle for GPU1") != std::string::npos);
}

TEST_CASE("bus ids match between nvidia-smi and the kernel log") {
  const GpuReport report = read("0, GPU-a, 00000000:3B:00.0, A, 1, 1, 1, 1, 0, Disabled\n");
  CHECK(report.gpus.at(0).bus_id == "0000:3b:00.0");
  const auto event = read_xid("[ 12.3] NVRM: Xid (PCI:0000:3b:00): 94, pid=1, name=python3, Ch 8");
  REQUIRE(event);
  CHECK(event->bus_id == "0000:3b:00.0");
  CHECK(event->code == 94);
  CHECK(blame_xid(94) == XidBlame::hardware);
  CHECK(blame_xid(31) == XidBlame::program);
  CHECK(blame_xid(8) == XidBlame::unknown);
}

TEST_CASE("lines that only look like an Xid are none") {
  for (const char* line : {"", "NVRM: Xid (PCI:0000:3b:00)", "Xid (PCI:): x",
                           "Xid (PCI:1): 99999999", "NVRM: loading", "Xid (PCI:0000:3b:00): -1"}) {
    INFO(line);
    CHECK_FALSE(read_xid(line));
  }
}

TEST_CASE("memory that no listed process holds needs the whole list") {
  GpuReport report = read("0, GPU-a, 1, A, 80000, 30000, 30, 1, 0, Disabled\n");
  GpuInfo gpu = report.gpus.at(0);
  CHECK_FALSE(unlisted_memory_mib(report, gpu));  // nobody asked for processes
  report.processes_told = true;
  CHECK(unlisted_memory_mib(report, gpu) == 30000u);
  report.processes = {{"GPU-a", 1, "p", 10000u}, {"GPU-b", 2, "q", 70000u}};
  CHECK(unlisted_memory_mib(report, gpu) == 20000u);
  report.processes[0].memory_mib = 40000u;
  CHECK(unlisted_memory_mib(report, gpu) == 0u);
  report.processes[0].memory_mib = std::nullopt;
  CHECK_FALSE(unlisted_memory_mib(report, gpu));
}

TEST_CASE("slowdown reasons have the driver's names, and new bits are not lost") {
  CHECK(slowdown_names(0).empty());
  CHECK(join(slowdown_names(0x1), ",") == "idle");
  CHECK(join(slowdown_names(0xc8), ",") == "HW slowdown,HW thermal slowdown,HW power brake");
  CHECK(join(slowdown_names(0x1004), ",") == "SW power cap,bits 4096");
}

TEST_CASE("hostile answers of nvidia-smi stay bounded and clean") {
  std::string many = kHeader;
  for (int i = 0; i < 5000; ++i)
    many += std::to_string(i) + ", GPU-" + std::to_string(i) + ",,,,,,,,\n";
  CHECK(read_gpu_answers({{"gpu", 0, many}}).gpus.size() <= 64);

  const std::string whole =
      kHeader + "0, GPU-a, 00000000:3B:00.0, A, 80000, 5, 30, 1.5, 0, Disabled\n";
  std::mt19937 random(11);
  for (int i = 0; i < 5000; ++i) {
    std::string text = whole;
    for (int edits = 0; edits < 4; ++edits)
      text[random() % text.size()] = static_cast<char>(random() % 256);
    for (const char* question : {"gpu", "apps", "remapped", "header", "list"}) {
      const GpuReport report = read_gpu_answers({{"gpu", 0, whole}, {question, 0, text}});
      CHECK(is_valid_utf8(report.trouble));
      for (const GpuInfo& gpu : report.gpus) CHECK(is_valid_utf8(gpu.name + gpu.uuid + gpu.bus_id));
    }
  }
}

}  // namespace rgt
