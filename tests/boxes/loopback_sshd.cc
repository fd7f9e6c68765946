// SPDX-License-Identifier: MIT
#include "tests/boxes/loopback_sshd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr const char* kScript = RGT_SOURCE_DIR "/tests/boxes/loopback_box.sh";

// pid, its children and theirs, from /proc: by descent, never by name.
std::vector<pid_t> tree_of(pid_t root) {
  std::vector<pid_t> tree{root};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const std::string pid = std::to_string(tree[i]);
    const auto children = read_file("/proc/" + pid + "/task/" + pid + "/children", 65536);
    if (!children) continue;
    for (const std::string_view child : split(*children, ' ')) {
      if (const auto number = parse_int(trim(child))) tree.push_back(static_cast<pid_t>(*number));
    }
  }
  return tree;
}

}  // namespace

LoopbackSshd::LoopbackSshd() { run_script("start", ""); }
LoopbackSshd::~LoopbackSshd() {
  thaw();
  stop();
}

void LoopbackSshd::run_script(const std::string& verb, const std::string& port) {
  ProcessSpec spec;
  spec.argv = {"/bin/sh", kScript, verb, folder().string()};
  if (!port.empty()) spec.argv.push_back(port);
  const auto done = SystemProcessRunner().run(spec, {});
  require(done.ok() && done->exit_code == 0,
          done.ok() ? done->err.c_str() : done.error().message.c_str());
  if (verb == "start") port_ = trim(done->out);
}

SshSettings LoopbackSshd::settings(Milliseconds connect_timeout) const {
  return {folder() / "ssh_config", connect_timeout};
}

void LoopbackSshd::stop() { run_script("stop", ""); }
void LoopbackSshd::restart() { run_script("start", port_); }

void LoopbackSshd::restart_with(const std::string& first_lines) {
  stop();
  write("sshd_first", first_lines);
  restart();
}

void LoopbackSshd::replace_host_key() {
  std::filesystem::remove(folder() / "host_key");
  std::filesystem::remove(folder() / "host_key.pub");
}

bool LoopbackSshd::reboot_as(const std::string& boot_id) {
  stop();
  write("boot_id", boot_id + "\n");
  ProcessSpec spec;
  spec.argv = {"unshare",
               "--mount",
               "/bin/sh",
               "-c",
               "mount --bind \"$1/boot_id\" /proc/sys/kernel/random/boot_id && "
               "exec /bin/sh \"$2\" start \"$1\" \"$3\"",
               "sh",
               folder().string(),
               kScript,
               port_};
  const auto done = SystemProcessRunner().run(spec, {});
  return done.ok() && done->exit_code == 0;
}

pid_t LoopbackSshd::pid() const {
  const auto text = read_file(folder() / "pid", 100);
  const auto pid = text ? parse_int(trim(*text)) : std::nullopt;
  return pid && *pid > 1 ? static_cast<pid_t>(*pid) : -1;
}

void LoopbackSshd::signal_tree(int number) {
  if (pid() < 0) return;
  for (const pid_t member : tree_of(pid())) ::kill(member, number);
}

void LoopbackSshd::freeze() { signal_tree(SIGSTOP); }
void LoopbackSshd::thaw() { signal_tree(SIGCONT); }

void LoopbackSshd::write(const std::string& name, const std::string& text) {
  require(write_file_atomically(folder() / name, text).ok(), "the test box could not be changed");
}
std::string LoopbackSshd::read(const std::string& name) const {
  return read_file(folder() / name, 65536).value();
}

void LoopbackSshd::be_reached_at(int port) {
  for (const char* name : {"ssh_config", "known_hosts"}) {
    std::string text = read(name);
    text.replace(text.find(port_), port_.size(), std::to_string(port));
    write(name, text);
  }
}

SilentPort::SilentPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool listening = ::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                         ::listen(socket_, 16) == 0 &&
                         ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  require(listening, "no port for the test");
  port_ = ntohs(address.sin_port);
}
SilentPort::~SilentPort() { close(); }
void SilentPort::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

}  // namespace rgt
