// SPDX-License-Identifier: MIT
// What happens to boxes, done to a real sshd, and the verdict that each must give. Unreachable is
// never dead; another machine is never the old one.
#include "tests/tools/fault_bench.h"

namespace rgt {
namespace {

constexpr const char* kTrains = "while :; do echo epoch 1 step 10 loss 0.5; sleep 0.2; done";

}  // namespace

TEST_CASE("A box whose sshd froze is unreachable within its deadline, and healthy when it thaws") {
  FaultBench box;
  box.launch_until_running(kTrains);
  box.cell_once("healthy");
  box.sshd.freeze();
  const auto start = std::chrono::steady_clock::now();
  const ToolResult tick = box.tick();
  CHECK(std::chrono::steady_clock::now() - start < Seconds(60));
  CHECK(tick.structured["runs"][0]["verdict"] == "unreachable");
  CHECK(tick.structured["runs"][0]["last_verdict"] == "healthy");
  CHECK(tick.structured["end_patrol"] == false);
  box.sshd.thaw();
  CHECK(box.row()["verdict"] == "healthy");
}

TEST_CASE("A box whose sshd is gone is unreachable, its run is kept, and found again") {
  FaultBench box;
  box.launch_until_running(kTrains);
  box.sshd.stop();
  const ToolResult tick = box.tick();
  CHECK(tick.structured["runs"][0]["verdict"] == "unreachable");
  CHECK(tick.structured["runs"][0]["ended"] == false);
  CHECK(tick.exit == Exit::unreachable);
  box.sshd.restart();
  box.cell_once("healthy");
}

TEST_CASE(
    "A box that comes back with another host key is refused, and its run is not called dead") {
  FaultBench box;
  box.launch_until_running(kTrains);
  box.cell_once("healthy");
  const std::string known = box.sshd.read("known_hosts");
  box.sshd.stop();
  box.sshd.replace_host_key();
  box.sshd.restart();
  box.sshd.write("known_hosts", known);
  const Json row = box.row();
  CHECK(row["verdict"] == "unreachable");
  CHECK(says(row, "summary", "CHANGED"));
  CHECK(row["ended"] == false);
  CHECK(box.bench.call("teardown_request", {{"box", LoopbackSshd::kAlias}}).structured["state"] ==
        "blocked");
}

TEST_CASE("A run on a box that was booted since is lost, whoever has its process numbers now") {
  FaultBench box;
  box.launch_until_running(kTrains);
  box.cell_once("healthy");
  // The processes live on, as if others had been given their numbers.
  if (!box.sshd.reboot_as("11111111-2222-3333-4444-555555555555")) {
    WARN("skipped: another boot id needs a mount namespace, which needs root");
    return;
  }
  CHECK(says(box.cell_once("lost"), "why", "boot"));
}

TEST_CASE("A cell that the box's memory limit killed is host_oom, with the counter as evidence") {
  FaultBench box;
  const std::filesystem::path group =
      "/sys/fs/cgroup/memory/rgt-test-" + std::to_string(::getpid());
  const std::filesystem::path unified = "/sys/fs/cgroup/rgt-test-" + std::to_string(::getpid());
  std::error_code failed;
  const bool v1 = std::filesystem::create_directory(group, failed) && !failed;
  const std::filesystem::path where = v1 ? group : unified;
  if (!v1) std::filesystem::create_directory(unified, failed);
  std::ofstream limit(where / (v1 ? "memory.limit_in_bytes" : "memory.max"));
  limit << (96u << 20) << std::flush;
  if (!limit.good()) {
    WARN("skipped: no memory cgroup can be made here (needs root and the memory controller)");
    return;
  }
  // The box as a container: its sshd, and all that it starts, under the limit.
  std::ofstream(where / "cgroup.procs") << box.sshd.pid();
  box.launch("echo epoch 1; sleep 2; head -c 400000000 /dev/zero | tail >/dev/null; exit 137");
  const Json cell = box.cell_once("crashed");
  INFO(cell.dump(1));
  CHECK(cell.value("failure_class", "") == "host_oom");
  box.sshd.stop();
  box.kill_supervisor();
  box.kill_cell();
  FaultBench::until([&] { return ::rmdir(where.c_str()) == 0 || errno == ENOENT; });
}

TEST_CASE("A box whose clock falls back a day is still judged by what moves on it") {
  FaultBench box;
  box.launch_until_running(kTrains);
  box.cell_once("healthy");
  std::filesystem::create_directories(box.sshd.folder() / "bin");
  const auto fake = box.sshd.folder() / "bin" / "date";
  std::ofstream(fake) << "#!/bin/sh\n[ \"$*\" = +%s ] || exec /bin/date \"$@\"\n"
                      << "echo $(($(/bin/date +%s) - 86400))\n";
  std::filesystem::permissions(fake, std::filesystem::perms::owner_all);
  box.sshd.restart_with("SetEnv HOME=" + (box.sshd.folder() / "home").string() +
                        " PATH=" + (box.sshd.folder() / "bin").string() + ":/usr/bin:/bin\n");
  box.row();  // one look to see what moved since by the next
  const Json cell = box.cell_once("healthy");
  INFO(cell.dump(1));
  CHECK(cell.count("failure_class") == 0);
}

}  // namespace rgt
