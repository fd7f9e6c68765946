// SPDX-License-Identifier: MIT
// known_hosts as sshd(8) describes it: hashed and plain names, [host]:port, patterns, several
// files, and the @revoked marker that libssh passes over. Pure: the texts come from the caller.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rgt {

struct KnownHostKey {
  std::string type = {};  // "ssh-ed25519"
  std::string blob = {};  // the key's bytes
  bool revoked = false;
};

enum class HostKeyVerdict {
  known,
  unknown,  // no key is known for this name
  changed,  // others are known for it
  revoked,  // marked as never to be trusted again, whatever else stands in the files
};

// The keys that one known_hosts text has for a name: "host", "[host]:port" or a HostKeyAlias.
// Lines that cannot be read and @cert-authority lines give none.
std::vector<KnownHostKey> known_keys(std::string_view text, std::string_view name);

HostKeyVerdict judge_host_key(const std::vector<KnownHostKey>& keys, std::string_view blob);

}  // namespace rgt
