// SPDX-License-Identifier: MIT
// What the user's ssh configuration says about one box, in `ssh -G`'s own reading of it: Include,
// Match, patterns and defaults are OpenSSH's, so that a box is reached as `ssh ALIAS` reaches it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/box/boxes.h"
#include "core/box/patience.h"

namespace rgt {

struct SshTarget {
  std::string alias = {};
  std::string host = {};
  std::string port = "22";
  std::string user = {};
  std::string host_key_alias = {};  // the name to look up in known_hosts; empty: host and port
  std::vector<std::string> identity_files = {};
  bool identities_only = false;     // offer an agent's key only if it is one of identity_files
  std::string identity_agent = {};  // a socket; empty: no agent
  std::vector<std::string> known_hosts_files = {};  // the user's and the machine's
  std::string revoked_host_keys = {};               // a file for ssh-keygen -Q; may be empty
  std::string proxy_command = {};                   // for sh, expanded; may be empty
  std::string proxy_jump = {};                      // as configured: "[user@]a[:port],b"; or empty
  std::string bind_address = {};
  std::string address_family = "any";  // any, inet, inet6
  bool compression = false;
  Seconds alive_interval =
      Seconds(30);          // silence after which we ask whether the box is there: ours
                            // where the configuration says nothing, below a NAT's minute
  int alive_count_max = 3;  // unanswered: the link is dead
  std::map<std::string, std::string> lists = {};  // ciphers, macs, ... as comma lists
};

// Asks ssh. invalid_argument if the configuration cannot be read, missing_tool without ssh.
Result<SshTarget> read_ssh_target(const std::string& alias, const SshSettings& settings,
                                  ProcessRunner& processes, const Patience& patience);

// The answer of `ssh -G` to a target; pure but for looking which known_hosts files exist and for
// the environment (HOME, SSH_AUTH_SOCK and what the configuration names).
Result<SshTarget> parse_ssh_target(const std::string& alias, std::string_view answer);

// The argv that carries bytes to the target when it is not reached directly: the ProxyCommand, or
// ssh -W over the jump host with the same configuration file. Empty if there is no proxy.
std::vector<std::string> proxy_arguments(const SshTarget& target, const SshSettings& settings);

// `ssh ALIAS` as a person would type it to get the same configuration.
std::string ssh_command(const std::string& alias, const SshSettings& settings);

// When a person last changed what decides here whether the box lets us in: the configuration, the
// keys, the known hosts. The epoch if none of them is there.
Time last_mended(const SshTarget& target, const SshSettings& settings);

}  // namespace rgt
