// SPDX-License-Identifier: MIT
// Which host keys are trusted: the files as people write them, and a real sshd that shows its key.
#include <catch2/catch.hpp>

#include "core/base/text.h"
#include "core/box/known_hosts.h"
#include "tests/core/box/transport/ssh_rig.h"

namespace rgt {
namespace {

const std::string kBlob = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const std::string kOther = "AAAAC3NzaC1lZDI1NTE5AAAAIJ2dK1pLvkSTfwZ5T0YyVIyYnY6kzXcvbLrkgFyUzvVv";

HostKeyVerdict verdict(const std::string& text, const std::string& name) {
  return judge_host_key(known_keys(text, name), base64_decode(kBlob).value());
}

}  // namespace

TEST_CASE("A host is found in known_hosts by name, list, pattern, port and hash") {
  const std::string key = " ssh-ed25519 " + kBlob + " a comment\n";
  CHECK(verdict("box" + key, "box") == HostKeyVerdict::known);
  CHECK(verdict("BOX" + key, "box") == HostKeyVerdict::known);
  CHECK(verdict("a,box,b" + key, "box") == HostKeyVerdict::known);
  CHECK(verdict("*.example.com,!bad.example.com" + key, "a.example.com") == HostKeyVerdict::known);
  CHECK(verdict("*.example.com,!bad.example.com" + key, "bad.example.com") ==
        HostKeyVerdict::unknown);
  CHECK(verdict("10.0.0.?" + key, "10.0.0.7") == HostKeyVerdict::known);
  CHECK(verdict("[10.0.0.7]:2222" + key, "[10.0.0.7]:2222") == HostKeyVerdict::known);
  CHECK(verdict("10.0.0.7" + key, "[10.0.0.7]:2222") == HostKeyVerdict::unknown);
  const std::string hashed =
      "|1|HQ6fjdSCzAFAHAWoiD4g5jiW1ts=|S5BZbNMpj6bAgJ4yZK+9rdcotnA=";  // ssh-keygen -H
  CHECK(verdict(hashed + key, "example.com") == HostKeyVerdict::known);
  CHECK(verdict(hashed + key, "other.com") == HostKeyVerdict::unknown);
  CHECK(verdict("box ssh-ed25519 " + kOther + "\n", "box") == HostKeyVerdict::changed);
  CHECK(verdict("box ssh-ed25519 " + kOther + "\nbox" + key, "box") == HostKeyVerdict::known);
}

TEST_CASE(
    "A revoked key is revoked wherever it stands, and lines that prove nothing are passed by") {
  const std::string key = " ssh-ed25519 " + kBlob + "\n";
  CHECK(verdict("@revoked *" + key, "box") == HostKeyVerdict::revoked);
  CHECK(verdict("box" + key + "@revoked box" + key, "box") == HostKeyVerdict::revoked);
  CHECK(verdict("@revoked other" + key + "box" + key, "box") == HostKeyVerdict::known);
  CHECK(verdict("@cert-authority *" + key, "box") == HostKeyVerdict::unknown);
  CHECK(verdict("# box" + key + "\n\nbox\nbox ssh-ed25519\nbox ssh-ed25519 ???\n", "box") ==
        HostKeyVerdict::unknown);
}

TEST_CASE("A revoked host key is refused always, also when it is known, in whichever file") {
  const bool in_second_file = GENERATE(false, true);
  SshRig rig;
  const std::string known = rig.sshd.read("known_hosts");
  const std::string revoked = "@revoked *" + known.substr(known.find(' '));
  rig.sshd.write("second", in_second_file ? revoked : "");
  rig.sshd.write("known_hosts", in_second_file ? known : known + revoked);
  rig.configure("UserKnownHostsFile " + rig.path("known_hosts"),
                "UserKnownHostsFile " + rig.path("known_hosts") + " " + rig.path("second"));
  rig.configure("StrictHostKeyChecking yes", "StrictHostKeyChecking no");
  const auto refused = rig.run("echo never");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::host_key_changed);
  CHECK(refused.error().message.find("REVOKED") != std::string::npos);
}

TEST_CASE("A key on the RevokedHostKeys list is refused, and so is every key if it is unreadable") {
  const bool readable = GENERATE(true, false);
  SshRig rig;
  if (readable) rig.sshd.write("list", rig.sshd.read("host_key.pub"));
  rig.add_line("RevokedHostKeys " + rig.path("list"));
  const auto refused = rig.run("echo never");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::host_key_changed);
}

TEST_CASE("A host key is found in a second known_hosts file, with spaces in its name, and hashed") {
  SshRig rig;
  rig.sshd.write("second file", rig.sshd.read("known_hosts"));
  rig.sshd.write("known_hosts", "");
  SystemProcessRunner processes;
  REQUIRE(processes.run({.argv = {"ssh-keygen", "-H", "-f", rig.path("second file")}}, {}));
  rig.configure(
      "UserKnownHostsFile " + rig.path("known_hosts"),
      "UserKnownHostsFile " + rig.path("known_hosts") + " \"" + rig.path("second file") + "\"");
  REQUIRE(rig.sshd.read("second file").starts_with("|1|"));
  CHECK(rig.run("true").ok());
}

TEST_CASE("A HostKeyAlias names the box in known_hosts, whatever its address is") {
  SshRig rig;
  const std::string known = rig.sshd.read("known_hosts");
  rig.add_line("HostKeyAlias rental-42");
  CHECK(rig.run("true").error().code == Code::host_key_unknown);
  rig.sshd.write("known_hosts", "rental-42" + known.substr(known.find(' ')));
  CHECK(rig.run("true").ok());
}

}  // namespace rgt
