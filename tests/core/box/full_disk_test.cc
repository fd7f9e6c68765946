// SPDX-License-Identifier: MIT
#include <sys/mount.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/core/box/script_shell.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

// A small filesystem of its own; needs root, and says so where it cannot.
struct SmallDisk {
  SmallDisk(fs::path where, const std::string& options) : path(std::move(where)) {
    fs::create_directories(path);
    mounted = mount("tmpfs", path.c_str(), "tmpfs", 0, options.c_str()) == 0;
    if (!mounted) WARN("skipped: mounting a small tmpfs needs root");
  }
  ~SmallDisk() {
    if (mounted) umount2(path.c_str(), MNT_DETACH);
  }
  void fill() const {
    std::ofstream file(path / "ballast", std::ios::binary);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  fs::path path = {};
  bool mounted = false;
};

}  // namespace

TEST_CASE("on a full disk a start fails with the measured space and leaves no run") {
  for (const std::string& interpreter : interpreters()) {
    Room room(interpreter);
    const SmallDisk disk(room.root / "small", "size=256k");
    if (!disk.mounted) return;
    INFO(interpreter);
    disk.fill();
    JobSpec job = room.job({cell("a", "true")});
    job.run_root = disk.path / "runs";
    const auto refused = room.start(job);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Code::remote_failed);
    CHECK(refused.error().message.find("0 B") != std::string::npos);
    CHECK(refused.error().next.find("disk is full") != std::string::npos);
    CHECK_FALSE(fs::exists(disk.path / "runs/run-1/rgt/job"));
    fs::remove(disk.path / "ballast");
    const auto report = room.start(job);
    INFO((report ? "" : report.error().message));
    REQUIRE(report.ok());
    room.runs = job.run_root;
    room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  }
}

TEST_CASE("without free inodes a start fails with their count and leaves no run") {
  for (const std::string& interpreter : interpreters()) {
    Room room(interpreter);
    const SmallDisk disk(room.root / "small", "size=4m,nr_inodes=8");
    if (!disk.mounted) return;
    INFO(interpreter);
    JobSpec job = room.job({cell("a", "true")});
    job.run_root = disk.path / "runs";
    const auto refused = room.start(job);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Code::remote_failed);
    CHECK(refused.error().next.find("inodes") != std::string::npos);
    CHECK_FALSE(fs::exists(disk.path / "runs/run-1/rgt/job"));
  }
}

TEST_CASE("a cell that fills the disk is still marked FAILED with its code") {
  for (const std::string& interpreter : interpreters()) {
    Room room(interpreter);
    const SmallDisk disk(room.root / "small", "size=1m");
    if (!disk.mounted) return;
    INFO(interpreter);
    JobSpec job = room.job({cell("a", "cat /dev/zero >\"$RGT_OUT/big\"; exit 28")});
    job.run_root = disk.path / "runs";
    room.runs = job.run_root;
    const auto report = room.start(job);
    INFO((report ? "" : report.error().message));
    REQUIRE(report.ok());
    const RunReading reading = room.look_until(job, all_marked);
    CHECK(reading.cells[0].marker == CellReading::Marker::failed);
    CHECK(reading.cells[0].exit_code == 28);
    CHECK(reading.disk_free_bytes == 0);
    CHECK(reading.disk_total_bytes == 1u << 20);
  }
}

TEST_CASE("a folder that cannot be made is named in the failure") {
  Room room;
  JobSpec job = room.job({cell("a", "true")});
  job.run_root = "/proc/nowhere";
  const auto refused = room.start(job);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::remote_failed);
  CHECK(refused.error().message.find("/proc/nowhere") != std::string::npos);
}

}  // namespace rgt::test
