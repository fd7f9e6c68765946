// SPDX-License-Identifier: MIT
// A real sshd on 127.0.0.1 as a rented box (see loopback_box.sh), that can be stopped, frozen,
// given another key; and a port that accepts and never answers. Gone with the object.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "core/box/boxes.h"
#include "tests/temporary_folder.h"

namespace rgt {

class LoopbackSshd {
 public:
  LoopbackSshd();
  ~LoopbackSshd();
  LoopbackSshd(const LoopbackSshd&) = delete;
  LoopbackSshd& operator=(const LoopbackSshd&) = delete;

  static constexpr const char* kAlias = "rented-box";
  SshSettings settings(Milliseconds connect_timeout = Seconds(5)) const;
  std::filesystem::path folder() const { return folder_.path(); }
  int port() const { return std::stoi(port_); }

  void stop();     // the listener and every session of it
  void restart();  // on the same port
  // Stops it and starts it again with these lines of sshd_config(5) before its own.
  void restart_with(const std::string& first_lines);
  void replace_host_key();  // then restart(): another machine at the same address
  // Stops it and starts it where /proc/sys/kernel/random/boot_id holds `boot_id`, in a mount
  // namespace of its own: to whoever logs in, the machine was booted since. False where this
  // process may make none (needs root).
  bool reboot_as(const std::string& boot_id);
  pid_t pid() const;  // of the listener
  void freeze();      // SIGSTOP to the listener and its sessions: half-open links
  void thaw();
  // Rewrites one file of the client's side: "known_hosts", "ssh_config", "client_key".
  void write(const std::string& name, const std::string& text);
  std::string read(const std::string& name) const;
  // From now on the client's side dials this port instead, a proxy's say.
  void be_reached_at(int port);

 private:
  void run_script(const std::string& verb, const std::string& port);
  void signal_tree(int number);
  TemporaryFolder folder_ = {};
  std::string port_ = {};
};

// A listening socket whose backlog takes connections that nobody ever serves.
class SilentPort {
 public:
  SilentPort();
  ~SilentPort();
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  int port() const { return port_; }
  void close();  // from now on a dead port: connections are refused

 private:
  int socket_ = -1;
  int port_ = 0;
};

}  // namespace rgt
