// SPDX-License-Identifier: MIT
// What a person is told about GPUs of several driver generations: recorded words of nvidia-smi are
// played to the real on-box script, and the verdict of the check that matters is looked at.
#include "tools/audit_gpu.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/core/box/script_shell.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

void put_tool(const Room& room, const std::string& name, const std::string& script) {
  spill(room.root / "bin" / name, "#!/bin/sh\n" + script);
  fs::permissions(room.root / "bin" / name, fs::perms::owner_all);
}

struct Seen {
  Survey survey = {};
  std::map<std::string, Check> checks = {};
  std::string verdicts = {};  // for a failed test to show

  const Check& operator[](const std::string& id) const {
    INFO(verdicts);
    REQUIRE(checks.count(id) == 1);
    return checks.at(id);
  }
};

Seen judge(const Survey& survey) {
  Seen seen;
  seen.survey = survey;
  Checks checks;
  check_gpus(survey, true, checks);
  for (const Check& check : checks) {
    CHECK((check.grade <= Grade::unknown) == check.fix.empty());  // bad news always has a remedy
    CHECK(seen.checks.emplace(check.id, check).second);
    seen.verdicts += check.id + " " + std::to_string(static_cast<int>(check.grade)) + " " +
                     check.measured + "\n";
  }
  return seen;
}

// `gpus` is a folder below tests/core/box/data/gpus; `kernel` is what dmesg prints.
Seen look_at(const std::string& gpus, const std::string& kernel = "",
             const std::string& interpreter = interpreters().front()) {
  Room room(interpreter);
  const fs::path data = fs::path(RGT_SOURCE_DIR) / "tests/core/box";
  put_tool(
      room, "nvidia-smi",
      "DATA='" + (data / "data/gpus" / gpus).string() + "'\n" + slurp(data / "fake_nvidia_smi.sh"));
  spill(room.root / "kernel", kernel);
  put_tool(room, "dmesg", "exec cat '" + (room.root / "kernel").string() + "'\n");
  SurveyRequest request;
  request.hog_seconds = 0;
  const auto found = survey(room.shell, request, {});
  INFO((found ? "" : found.error().message));
  REQUIRE(found.ok());
  return judge(*found);
}

bool says(const Check& check, const std::string& words) {
  INFO(check.id << ": " << check.measured);
  return check.measured.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("K80s of driver 418 are read in parts, and exclusive compute mode is told") {
  const Seen seen = look_at("k80_418");
  CHECK(says(seen["gpu"], "2 x Tesla K80 (11441 MiB), driver 418.226.00, CUDA up to 10.1"));
  CHECK(seen["gpu_mode"].grade == Grade::warn);
  CHECK(says(seen["gpu_mode"], "gpu0: Exclusive_Process; gpu1: Exclusive_Process"));
  CHECK(seen["gpu_slowdown"].grade == Grade::pass);
  CHECK(seen["gpu_rows"].grade == Grade::pass);  // by retired pages: these cards remap no rows
}

TEST_CASE("A healthy V100 of driver 470 passes all, though the driver lacks the newer fields") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    const Seen seen = look_at("v100_470", "", interpreter);
    INFO(seen.verdicts);
    for (const auto& [id, check] : seen.checks) CHECK(check.grade == Grade::pass);
    CHECK(says(seen["gpu"], "Tesla V100-SXM2-16GB (16160 MiB), driver 470.82.01, CUDA up to 11.4"));
    REQUIRE(seen.survey.gpu.gpus.size() == 1);
    CHECK(seen.survey.gpu.gpus[0].slowdowns == 1u);
    CHECK(seen.survey.gpu.gpus[0].temperature_celsius == 31);
    CHECK_FALSE(seen.survey.gpu.gpus[0].mig_on);
    CHECK_FALSE(seen.survey.gpu.gpus[0].remap_pending);
  }
}

TEST_CASE("A 4090 whose host lowered the power limit is told, and its missing ECC is unknown") {
  const Seen seen = look_at("rtx4090_525");
  CHECK(seen["gpu_power"].grade == Grade::warn);
  CHECK(says(seen["gpu_power"], "limited to 270 W, the card's default is 450 W"));
  CHECK(seen["gpu_ecc"].grade == Grade::unknown);
  CHECK(seen["gpu_rows"].grade == Grade::unknown);
  CHECK_FALSE(seen.survey.gpu.gpus.at(0).ecc_uncorrected);  // not 0
  CHECK(seen["gpu_memory"].grade == Grade::pass);
}

TEST_CASE("A100s in MIG mode are told slice by slice, and one without a slice fails") {
  const Seen seen = look_at("a100_535_mig");
  CHECK(seen["gpu_mig"].grade == Grade::fail);
  CHECK(says(seen["gpu_mig"], "gpu0: MIG slices 2 x 3g.40gb; gpu1: MIG on, but no slice exists"));
  CHECK(seen["gpu_clocks"].grade == Grade::unknown);  // MIG cards tell no load
  CHECK(seen["gpu_rows"].grade == Grade::pass);
}

TEST_CASE("Of eight H100s the hot, the failing, the occupied and the badly seated one are named") {
  const Seen seen = look_at("h100x8_550");
  CHECK(says(seen["gpu"],
             "8 x NVIDIA H100 80GB HBM3 (81559 MiB), driver 550.54.15, CUDA up to "
             "12.4"));
  CHECK(seen["gpu_slowdown"].grade == Grade::warn);
  CHECK(seen["gpu_slowdown"].measured == "gpu3: HW slowdown + HW thermal slowdown");
  CHECK(seen["gpu_slowdown"].references == std::vector<std::string>{"U23"});
  CHECK(seen["gpu_heat"].measured == "gpu3: 89 C");
  CHECK(seen["gpu_clocks"].measured == "gpu3: 1005 of 1980 MHz at 100 % load");
  CHECK(seen["gpu_ecc"].grade == Grade::fail);
  CHECK(seen["gpu_ecc"].measured == "gpu5: 2 uncorrected since the driver started");
  CHECK(seen["gpu_rows"].measured == "gpu5: rows wait to be remapped");
  CHECK(seen["gpu_pcie"].measured == "gpu7: x4 of x16");
  CHECK(seen["gpu_memory"].grade == Grade::warn);
  CHECK(seen["gpu_memory"].measured ==
        "gpu3: 41004 of 81559 MiB in use by pid 31337 /usr/bin/python3, train.py 41000 MiB; "
        "gpu6: 40536 of 81559 MiB in use, 40536 MiB held by no listed process");
}

TEST_CASE("B200s of driver 580: a failed row remapping ends the rental") {
  const Seen seen = look_at("b200_580");
  CHECK(says(seen["gpu"], "CUDA up to 13.0"));
  CHECK(seen["gpu_rows"].grade == Grade::fail);
  CHECK(seen["gpu_rows"].measured == "gpu1: row remapping failed");
  CHECK(seen["gpu_slowdown"].grade == Grade::pass);
}

TEST_CASE("A driver that dropped one of our fields loses its group only, and its header is read") {
  const Seen seen = look_at("rtx5090_610");
  CHECK(
      says(seen["gpu"], "NVIDIA GeForce RTX 5090 (32607 MiB), driver 610.57.04, CUDA up to 13.3"));
  CHECK(seen["gpu_ecc"].grade == Grade::unknown);
  CHECK(seen["gpu_rows"].grade == Grade::pass);
  CHECK(seen["gpu_power"].grade == Grade::pass);
  CHECK(seen["gpu_slowdown"].grade == Grade::pass);
}

TEST_CASE("A lost card beside a good one fails, and Xid 79 names it") {
  const Seen seen = look_at(
      "rtx3090_550_lost",
      "[  100.1] NVRM: Xid (PCI:0000:01:00): 31, pid=77, name=python3, Ch 00000008, MMU Fault\n"
      "[  812.3] NVRM: Xid (PCI:0000:02:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen "
      "off the bus.\n");
  CHECK(seen["gpu"].grade == Grade::fail);
  CHECK(says(seen["gpu"], "1 lost"));
  CHECK(seen["gpu_xid"].grade == Grade::fail);
  CHECK(says(seen["gpu_xid"], "2 in this boot: Xid (PCI:0000:02:00): 79"));
  CHECK(seen["gpu_xid"].references == std::vector<std::string>{"U22"});
  CHECK(seen["gpu_heat"].grade == Grade::unknown);  // of two cards only one tells
}

TEST_CASE("An Xid of a card that is not shown here warns; one that programs cause passes") {
  Seen seen = look_at("v100_470", "NVRM: Xid (PCI:0000:b1:00): 79, GPU has fallen off the bus.\n");
  CHECK(seen["gpu_xid"].grade == Grade::warn);
  CHECK(says(seen["gpu_xid"], "not one of the GPUs shown here"));
  seen = look_at("v100_470", "NVRM: Xid (PCI:0000:00:1e): 13, pid=9, Graphics Exception\n");
  CHECK(seen["gpu_xid"].grade == Grade::pass);
}

TEST_CASE("An nvidia-smi that fails says why, and each reason has its own remedy") {
  const std::map<std::string, std::pair<std::string, std::string>> cases{
      {"no_devices", {"No devices were found", "rent another"}},
      {"no_driver", {"couldn't communicate with the NVIDIA driver", "rent another"}},
      {"mismatch", {"Driver/library version mismatch", "restart the box"}},
      {"off_the_bus", {"Unable to determine the device handle", "no longer answers"}}};
  for (const auto& [gpus, words] : cases) {
    const Seen seen = look_at(gpus);
    CHECK(seen["gpu"].grade == Grade::fail);
    CHECK(says(seen["gpu"], words.first));
    INFO(seen["gpu"].fix);
    CHECK(seen["gpu"].fix.find(words.second) != std::string::npos);
  }
}

TEST_CASE("An nvidia-smi that never answers is a broken GPU, not a hanging audit") {
  Room room;
  put_tool(room, "nvidia-smi", "exec sleep 300\n");
  SurveyRequest request;
  request.hog_seconds = 0;
  const auto found = survey(room.shell, request, {});
  REQUIRE(found.ok());
  CHECK(found->box_seconds < 30);
  const Seen seen = judge(*found);
  CHECK(seen["gpu"].grade == Grade::fail);
  CHECK(says(seen["gpu"], "gave no answer"));
}

namespace {

Seen with_torch(const std::string& said, const std::string& driver_cuda, int status = 0) {
  Survey survey;
  survey.nvidia_smi_present = true;
  survey.gpu.cuda = driver_cuda;
  survey.gpu.gpus.resize(1);
  survey.xid_source = "none";
  survey.torch = read_torch(status, said);
  return judge(survey);
}

}  // namespace

TEST_CASE("torch is held against the driver and the card") {
  const std::string fine =
      "rgt version 2.4.0+cu121\nrgt cuda 12.1\nrgt archs sm_50 sm_80 sm_90\nrgt available True\n"
      "rgt devices 1\nrgt capability 9.0\n";
  Seen seen = with_torch(fine, "12.4");
  CHECK(seen["torch"].grade == Grade::pass);
  CHECK(says(seen["torch"],
             "torch 2.4.0+cu121 built for CUDA 12.1, the driver runs up to 12.4, sees 1 GPU"));

  seen = with_torch("rgt version 2.9.0+cu130\nrgt cuda 13.0\nrgt archs\nrgt available False\n",
                    "12.4");
  CHECK(seen["torch"].grade == Grade::fail);
  CHECK(seen["torch"].fix.find("newer CUDA than the driver") != std::string::npos);
  CHECK(seen["torch"].references == std::vector<std::string>{"U28"});

  seen = with_torch("rgt version 2.4.0+cpu\nrgt cuda None\nrgt available False\nrgt devices 0\n",
                    "12.4");
  CHECK(seen["torch"].grade == Grade::fail);
  CHECK(seen["torch"].fix.find("CPU-only") != std::string::npos);

  seen = with_torch(
      "rgt version 2.4.0+cu121\nrgt cuda 12.1\nrgt archs sm_80 sm_90\nrgt available True\n"
      "rgt devices 1\nrgt capability 12.0\n",
      "12.8");
  CHECK(seen["torch"].grade == Grade::fail);  // Blackwell with an older wheel
  CHECK(says(seen["torch"], "no kernels for compute capability 12.0"));

  seen = with_torch("sh: 1: python9: not found\n", "12.4", 127);
  CHECK(seen["torch"].grade == Grade::fail);
  CHECK(says(seen["torch"], "not found"));
}

TEST_CASE("An interpreter without torch is told with its own words, under every sh") {
  for (const std::string& interpreter : interpreters()) {
    Room room(interpreter);
    SurveyRequest request;
    request.hog_seconds = 0;
    request.python = "python3";
    put_tool(room, "python3", "echo 'rgt error ModuleNotFoundError No module named torch'\n");
    const auto found = survey(room.shell, request, {});
    REQUIRE(found.ok());
    CHECK(found->torch.asked);
    CHECK(found->torch.trouble == "ModuleNotFoundError No module named torch");
  }
}

}  // namespace rgt::test
