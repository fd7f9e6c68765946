// SPDX-License-Identifier: MIT
#include "core/box/ssh_host_key.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/known_hosts.h"
#include "core/box/ssh_auth.h"

namespace rgt {
namespace {

constexpr std::uint64_t kKnownHostsLimit = 16u << 20;  // bytes of one known_hosts file

std::string fingerprint_of(ssh_key key) {
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  std::string text;
  if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) == 0) {
    char* printed = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
    if (printed != nullptr) text = printed;
    ssh_string_free_char(printed);
    ssh_clean_pubkey_hash(&hash);
  }
  return text;
}

std::string look_up_name(const SshTarget& target) {
  if (!target.host_key_alias.empty()) return target.host_key_alias;
  return target.port == "22" ? target.host : "[" + target.host + "]:" + target.port;
}

std::vector<KnownHostKey> known_in_files(const SshTarget& target, const std::string& name) {
  std::vector<KnownHostKey> keys;
  for (const std::string& file : target.known_hosts_files) {
    const auto text = read_file(file, kKnownHostsLimit);
    if (!text) continue;
    for (KnownHostKey& key : known_keys(*text, name)) keys.push_back(std::move(key));
  }
  return keys;
}

// A key that is known under the bare name serves any port that has no key of its own, as in ssh.
HostKeyVerdict judge(const SshTarget& target, const std::string& blob) {
  const HostKeyVerdict verdict = judge_host_key(known_in_files(target, look_up_name(target)), blob);
  const bool bare_too = target.host_key_alias.empty() && target.port != "22";
  if (!bare_too || verdict == HostKeyVerdict::revoked) return verdict;
  const HostKeyVerdict bare = judge_host_key(known_in_files(target, target.host), blob);
  if (bare == HostKeyVerdict::revoked) return bare;
  return verdict == HostKeyVerdict::unknown && bare == HostKeyVerdict::known ? bare : verdict;
}

// RevokedHostKeys may be a binary list that only ssh-keygen reads. A list that cannot be read
// revokes everything, as in ssh.
Result<bool> on_revocation_list(const SshTarget& target, ssh_key key, ProcessRunner& processes,
                                const Patience& patience) {
  if (target.revoked_host_keys.empty()) return false;
  ProcessSpec spec;
  spec.argv = {"ssh-keygen", "-Q", "-f", target.revoked_host_keys, "/dev/stdin"};
  spec.input = std::string(ssh_key_type_to_char(ssh_key_type(key))) + " " +
               base64_encode(blob_of(key)) + "\n";
  spec.total_timeout = patience.left();
  auto done = processes.run(spec, patience.stop);
  if (!done) return done.error();
  return done->end != ProcessEnd::exited || done->exit_code != 0;
}

Error refused_key(HostKeyVerdict verdict, const SshTarget& target, const SshSettings& settings,
                  const std::string& fingerprint) {
  if (verdict == HostKeyVerdict::revoked) {
    return {Code::host_key_changed,
            "the host key of " + target.alias + ", " + fingerprint +
                ", is marked as REVOKED: whoever shows it is not to be trusted",
            "do not go on. Ask the user why the key was revoked; only they may take the mark away"};
  }
  if (verdict == HostKeyVerdict::changed) {
    return {Code::host_key_changed,
            "the host key of " + target.alias + " CHANGED: it now shows " + fingerprint +
                ", known_hosts has another one. This is another machine, or somebody in between",
            "do not go on. Rented addresses are recycled: ask the user to compare the fingerprint "
            "in the provider's console; only if it is the new box, they remove the old key "
            "(ssh-keygen -R) and accept the new one"};
  }
  return {Code::host_key_unknown,
          "the host key of " + target.alias + " is not known yet: " + fingerprint,
          "ask the user to run `" + ssh_command(target.alias, settings) +
              " true` in a terminal, compare this fingerprint with the provider's console, and "
              "answer yes"};
}

}  // namespace

std::string host_key_algorithms(const SshTarget& target) {
  std::vector<std::string> wanted;
  for (const KnownHostKey& key : known_in_files(target, look_up_name(target))) {
    if (key.revoked) continue;
    if (key.type == "ssh-rsa") wanted.insert(wanted.end(), {"rsa-sha2-512", "rsa-sha2-256"});
    if (key.type != "ssh-rsa") wanted.push_back(key.type);
  }
  const auto configured = target.lists.find("hostkeyalgorithms");
  if (configured == target.lists.end()) return join(wanted, ",");
  const auto allowed = split(configured->second, ',');
  std::erase_if(wanted, [&](const std::string& name) {
    return std::find(allowed.begin(), allowed.end(), name) == allowed.end();
  });
  for (const std::string_view name : allowed) {
    if (name.find("-cert-v01@") == std::string_view::npos) wanted.emplace_back(name);
  }
  return join(wanted, ",");
}

Result<std::string> check_host_key(ssh_session session, const SshTarget& target,
                                   const SshSettings& settings, ProcessRunner& processes,
                                   const Patience& patience) {
  ssh_key shown = nullptr;
  if (ssh_get_server_publickey(session, &shown) != SSH_OK)
    return Error{Code::unreachable, target.alias + " showed no host key", "call again"};
  const std::unique_ptr<ssh_key_struct, decltype(&ssh_key_free)> key(shown, &ssh_key_free);
  const std::string fingerprint = fingerprint_of(shown);
  HostKeyVerdict verdict = judge(target, blob_of(shown));
  if (verdict == HostKeyVerdict::known) {
    auto listed = on_revocation_list(target, shown, processes, patience);
    if (!listed) return listed.error();
    if (!*listed) return fingerprint;
    verdict = HostKeyVerdict::revoked;
  }
  return refused_key(verdict, target, settings, fingerprint);
}

}  // namespace rgt
