// SPDX-License-Identifier: MIT
// The user's ssh configuration means here what it means to ssh, and nothing in it makes us wait or
// ask.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include <catch2/catch.hpp>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/ssh_config.h"
#include "tests/core/box/transport/ssh_rig.h"

namespace rgt {
namespace {

// The socket is there a moment before anybody listens on it.
bool answers(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  const bool connected = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

// A real ssh-agent, gone with the object.
struct Agent {
  explicit Agent(const std::string& socket) {
    auto started = SocketProcess::start({"ssh-agent", "-D", "-a", socket});
    REQUIRE(started);
    process = std::move(*started);
    REQUIRE(eventually([&] { return answers(socket); }));
  }
  std::unique_ptr<SocketProcess> process = {};
};

// A unix socket that takes connections and never says a word.
struct SilentAgent {
  explicit SilentAgent(const std::string& path) : fd(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 8) == 0);
  }
  ~SilentAgent() { ::close(fd); }
  int fd;
};

void run_tool(std::vector<std::string> argv, const std::string& agent = "") {
  ProcessSpec spec;
  spec.argv = std::move(argv);
  if (!agent.empty()) spec.extra_environment = {{"SSH_AUTH_SOCK", agent}};
  const auto done = SystemProcessRunner().run(spec, {});
  REQUIRE(done);
  INFO(done->err);
  REQUIRE(done->exit_code == 0);
}

}  // namespace

TEST_CASE("A silent ssh-agent is passed over, and a call ends within its own limit") {
  SshRig rig;
  const SilentAgent agent(rig.path("agent"));
  rig.configure("IdentityAgent none", "IdentityAgent " + rig.path("agent"));
  CHECK(rig.run("true").ok());  // by the key file
  SshRig other;
  other.configure("IdentityAgent none", "IdentityAgent " + rig.path("agent"));
  other.sshd.write("authorized_keys", "");
  const auto start = Steady::now();
  const auto refused = other.run("true");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::auth_failed);
  CHECK(refused.error().message.find("does not answer") != std::string::npos);
  CHECK(seconds_since(start) < 8);  // the limit is 5
}

TEST_CASE("A ProxyCommand that is deaf to SIGTERM and never connects ends with the limit") {
  SshRig rig(Seconds(1));
  rig.add_line("ProxyCommand sh -c \"trap '' TERM HUP; echo lost in the cellar >&2; sleep 60\"");
  const auto start = Steady::now();
  const auto late = rig.run("true");
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Code::unreachable);
  CHECK(late.error().message.find("lost in the cellar") != std::string::npos);
  CHECK(seconds_since(start) < 5);
}

TEST_CASE("A call's own deadline holds while it connects, however patient the connecting is") {
  SshRig rig(Seconds(50));
  rig.sshd.freeze();
  const auto start = Steady::now();
  CHECK_FALSE(rig.run("true", Seconds(5), {}, Seconds(1)).ok());
  CHECK(seconds_since(start) < 4);
}

TEST_CASE("A key behind a passphrase is never asked for: it is named, with the way to the agent") {
  const std::string format = GENERATE(std::string("PEM"), std::string("RFC4716"));
  SshRig rig;
  run_tool({"ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", format, "-N", "secret", "-f",
            rig.path("locked")});
  rig.configure("client_key", "locked");
  const auto start = Steady::now();
  const auto refused = rig.run("true");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::auth_failed);
  CHECK(refused.error().message.find("passphrase") != std::string::npos);
  CHECK(refused.error().next.find("into the agent") != std::string::npos);
  CHECK(refused.error().next.find(rig.path("locked")) != std::string::npos);
  CHECK(seconds_since(start) < 5);
}

TEST_CASE("An agent's key opens a box, and IdentitiesOnly keeps the agent's other keys back") {
  SshRig rig;
  const Agent agent(rig.path("agent"));
  run_tool({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", rig.path("other")});
  run_tool({"ssh-add", "-q", rig.path("other")}, rig.path("agent"));
  run_tool({"ssh-add", "-q", rig.path("client_key")}, rig.path("agent"));
  rig.configure("IdentityAgent none", "IdentityAgent " + rig.path("agent"));
  rig.configure("IdentityFile " + rig.path("client_key"), "IdentityFile " + rig.path("missing"));
  // Only the agent could open it, and its keys are not among the configured ones.
  CHECK(rig.run("true").error().code == Code::auth_failed);
  rig.configure("IdentitiesOnly yes", "IdentitiesOnly no");
  CHECK(rig.run("true").ok());
}

TEST_CASE("With IdentitiesOnly the agent signs for a configured key whose file is locked") {
  SshRig rig;
  const Agent agent(rig.path("agent"));
  run_tool({"ssh-add", "-q", rig.path("client_key")}, rig.path("agent"));
  rig.configure("IdentityAgent none", "IdentityAgent " + rig.path("agent"));
  run_tool({"ssh-keygen", "-q", "-p", "-N", "secret", "-f", rig.path("client_key")});
  std::filesystem::remove(rig.path("client_key.pub"));
  CHECK(rig.run("true").ok());
}

TEST_CASE("A configuration file that is missing is said to be, with the variable that names it") {
  SystemProcessRunner processes;
  const auto boxes = make_boxes({"/nowhere/ssh_config", Seconds(5)}, processes);
  const auto missing = boxes->shell("box").value()->run({.script = "true"}, {});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::invalid_argument);
  CHECK(missing.error().message.find("/nowhere/ssh_config") != std::string::npos);
  CHECK(missing.error().next.find("RGT_SSH_CONFIG") != std::string::npos);
}

TEST_CASE("A box behind a jump host is reached with the same configuration file") {
  SshRig jump;
  SshRig rig;
  // The jump host is an alias that only this file knows.
  std::string config = jump.sshd.read("ssh_config");
  config.replace(config.find(LoopbackSshd::kAlias), std::strlen(LoopbackSshd::kAlias), "jump");
  rig.sshd.write("ssh_config", rig.sshd.read("ssh_config") + "  ProxyJump jump\n" + config);
  const auto outcome = rig.run("echo behind");
  INFO((outcome.ok() ? "" : outcome.error().message));
  REQUIRE(outcome);
  CHECK(outcome->out == "behind\n");
  // And the jump host's own key is checked as strictly.
  jump.sshd.write("known_hosts", "");
  const auto boxes = make_boxes(rig.sshd.settings(), rig.processes);
  const auto refused = boxes->shell(LoopbackSshd::kAlias).value()->run({.script = "true"}, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("Host key verification failed") != std::string::npos);
}

TEST_CASE("Compression of the configuration is used on the wire") {
  const std::string zeros(200'000, '0');
  const auto bytes = [&](const std::string& line) {
    FarRig rig(Milliseconds(0));
    rig.add_line(line);
    const auto outcome = rig.shell->run({.script = "cat", .input = zeros}, {});
    REQUIRE(outcome);
    CHECK(outcome->out == zeros);
    return rig.proxy.bytes_up();
  };
  CHECK(bytes("Compression yes") * 10 < bytes("Compression no"));
}

TEST_CASE("What ssh says about a box is read with its tokens, lists and defaults") {
  const auto target = parse_ssh_target("gpu",
                                       "host gpu\nuser me\nhostname 10.0.0.1\nport 2222\n"
                                       "identitiesonly yes\nidentityfile /keys/%h-%r\n"
                                       "proxycommand nc -x %% %h %p\nuserknownhostsfile none\n"
                                       "globalknownhostsfile /a /b\n");
  REQUIRE(target);
  CHECK(target->identity_files == std::vector<std::string>{"/keys/10.0.0.1-me"});
  CHECK(target->proxy_command == "nc -x % 10.0.0.1 2222");
  CHECK(target->known_hosts_files == std::vector<std::string>{"/a", "/b"});
  CHECK(target->identities_only);
  CHECK(target->alive_interval == Seconds(30));
  CHECK_FALSE(target->compression);
  const auto kept = parse_ssh_target("gpu",
                                     "user me\nhostname x\ncompression yes\n"
                                     "serveraliveinterval 7\nserveralivecountmax 2\n");
  REQUIRE(kept);
  CHECK(kept->compression);
  CHECK(kept->alive_interval == Seconds(7));
  CHECK(kept->alive_count_max == 2);
  const auto unknown = parse_ssh_target("gpu", "user me\nhostname x\nproxycommand nc %Q\n");
  CHECK(unknown.error().code == Code::invalid_argument);
  SshTarget far;
  far.host = "::1";
  far.proxy_jump = "me@first:2200,second";
  const auto argv = proxy_arguments(far, {"/cfg", Seconds(7)});
  CHECK(join(argv, " ") ==
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=7 -F /cfg -J "
        "me@first:2200 -W [::1]:22 ssh://second");
}

}  // namespace rgt
