// SPDX-License-Identifier: MIT
// A real sshd, the shell that reaches it (also the long way round, through a DelayProxy), and
// waiting for a condition instead of for a time.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "tests/boxes/delay_proxy.h"
#include "tests/boxes/loopback_sshd.h"

namespace rgt {

using Steady = std::chrono::steady_clock;

inline double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

// True as soon as it holds; false if it does not within 20 s, which only a broken test needs.
template <class Condition>
bool eventually(Condition condition) {
  const auto until = Steady::now() + Seconds(20);
  while (!condition()) {
    if (Steady::now() >= until) return false;
    std::this_thread::yield();
  }
  return true;
}

struct SshRig {
  LoopbackSshd sshd = {};
  SystemProcessRunner processes = {};
  std::unique_ptr<Boxes> boxes;
  std::shared_ptr<Shell> shell;
  explicit SshRig(Milliseconds connect_timeout = Seconds(5))
      : boxes(make_boxes(sshd.settings(connect_timeout), processes)),
        shell(boxes->shell(LoopbackSshd::kAlias).value()) {}

  Result<ScriptOutcome> run(std::string_view script, Milliseconds idle = Seconds(5),
                            std::stop_token stop = {}, Milliseconds total = Seconds(20)) {
    return shell->run({.script = script, .idle_timeout = idle, .total_timeout = total}, stop);
  }

  // A script that says on the disk (the box is this machine) that it began, and then takes a
  // minute.
  std::string long_script() const { return "touch '" + mark().string() + "'; sleep 60"; }
  std::filesystem::path mark() const { return sshd.folder() / "began"; }
  bool began() const {
    return eventually([&] { return std::filesystem::exists(mark()); });
  }

  // Puts one line of the box's Host entry in the place of another; "" takes it away.
  void configure(const std::string& before, const std::string& after) {
    std::string config = sshd.read("ssh_config");
    const std::size_t at = config.find(before);
    require(at != std::string::npos, "no such line in the test's ssh_config");
    config.replace(at, before.size(), after);
    sshd.write("ssh_config", config);
  }
  void add_line(const std::string& line) {
    sshd.write("ssh_config", sshd.read("ssh_config") + "  " + line + "\n");
  }
  std::string path(const std::string& name) const { return (sshd.folder() / name).string(); }
};

// The same box, reached through a proxy.
struct FarRig : SshRig {
  DelayProxy proxy;
  explicit FarRig(Milliseconds each_way, Milliseconds connect_timeout = Seconds(10))
      : SshRig(connect_timeout), proxy(sshd.port(), each_way) {
    const std::string near = std::to_string(sshd.port());
    const std::string far = std::to_string(proxy.port());
    configure("Port " + near, "Port " + far);
    std::string known = sshd.read("known_hosts");
    const std::string place = "]:" + near;
    known.replace(known.find(place), place.size(), "]:" + far);
    sshd.write("known_hosts", known);
  }
};

}  // namespace rgt
