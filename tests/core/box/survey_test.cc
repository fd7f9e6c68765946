// SPDX-License-Identifier: MIT
#include "core/box/survey.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/core/box/script_shell.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

bool holds(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

void fake_nvidia_smi(const Room& room, const std::string& script) {
  spill(room.root / "bin/nvidia-smi", "#!/bin/sh\n" + script);
  fs::permissions(room.root / "bin/nvidia-smi", fs::perms::owner_all);
}

}  // namespace

TEST_CASE("a survey measures this machine under every sh") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    const auto found =
        survey(room.shell, {room.root, "/dev/shm", room.root / "not there/at all"}, {});
    INFO((found ? "" : found.error().message));
    REQUIRE(found.ok());
    CHECK(found->box_time > 1700000000);
    CHECK(found->boot_id.size() == 36);
    CHECK_FALSE(found->os.empty());
    CHECK(found->kernel.rfind("Linux ", 0) == 0);
    CHECK(found->home == room.root);
    CHECK(found->cpus_visible > 0);
    CHECK(found->memory_total > 1u << 20);
    REQUIRE(found->mounts.size() == 3);
    CHECK(found->mounts[0].path == room.root);
    CHECK_FALSE(found->mounts[0].mount_point.empty());
    CHECK(found->mounts[0].bytes_total > 0);
    CHECK(found->mounts[0].writable);
    CHECK(found->mounts[2].mount_point.empty());
    CHECK(found->mounts[2].bytes_total == found->mounts[0].bytes_total);
    CHECK(holds(found->tools_present, "base64"));
    CHECK(found->tools_present.size() + found->tools_missing.size() == 9);
  }
}

TEST_CASE("GPUs are read from nvidia-smi, with what it does not tell left open") {
  Room room;
  fake_nvidia_smi(room,
                  "echo '0, NVIDIA H100 80GB HBM3, 550.54.15, 81559, 4, 37, 2, Disabled'\n"
                  "echo '1, NVIDIA GeForce RTX 3060, 550.54.15, 12288, 1, [N/A], [N/A], [N/A]'\n");
  const auto found = survey(room.shell, {}, {});
  REQUIRE(found.ok());
  CHECK(found->nvidia_smi_present);
  REQUIRE(found->gpus.size() == 2);
  CHECK(found->gpus[0].name == "NVIDIA H100 80GB HBM3");
  CHECK(found->gpus[0].driver == "550.54.15");
  CHECK(found->gpus[0].memory_total_mib == 81559);
  CHECK(found->gpus[0].utilisation_percent == 37);
  CHECK(found->gpus[0].ecc_errors == "2");
  CHECK(found->gpus[0].mig == "Disabled");
  CHECK(found->gpus[1].utilisation_percent == -1);
  CHECK(found->gpus[1].ecc_errors.empty());
}

TEST_CASE("an nvidia-smi that fails is present, with its own words") {
  Room room;
  fake_nvidia_smi(room,
                  "echo 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n");
  const auto found = survey(room.shell, {}, {});
  REQUIRE(found.ok());
  CHECK(found->nvidia_smi_present);
  CHECK(found->gpus.empty());
  CHECK(found->nvidia_smi_error == "Failed to initialize NVML: Driver/library version mismatch");
}

TEST_CASE("missing tools are named") {
  Room room;
  ScriptShell bare(room.interpreter, room.path_without({"tmux", "rsync", "python3"}), room.root);
  const auto found = survey(bare, {}, {});
  REQUIRE(found.ok());
  CHECK(holds(found->tools_missing, "tmux"));
  CHECK(holds(found->tools_missing, "rsync"));
  CHECK(holds(found->tools_present, "setsid"));
}

TEST_CASE("a place that cannot be written is said to be so") {
  Room room;
  const auto found = survey(room.shell, {"/proc/sys"}, {});
  REQUIRE(found.ok());
  CHECK_FALSE(found->mounts.at(0).writable);
}

}  // namespace rgt::test
