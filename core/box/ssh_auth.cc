// SPDX-License-Identifier: MIT
#include "core/box/ssh_auth.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/text.h"
#include "core/box/ssh_agent.h"
#include "core/box/ssh_steps.h"

namespace rgt {
namespace {

using Key = std::unique_ptr<ssh_key_struct, decltype(&ssh_key_free)>;

// Without an answer of ours, libssh and OpenSSL ask for a key's passphrase on the terminal and wait
// for ever.
int no_passphrase(const char*, char*, std::size_t, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

struct KeyFile {
  std::string path = {};
  Key key{nullptr, &ssh_key_free};  // null: not readable, or locked
  std::string blob = {};            // the public half, where it could be learnt
  bool locked = false;              // behind a passphrase
};

KeyFile open_key(const std::string& path) {
  KeyFile file;
  file.path = path;
  ssh_key made = nullptr;
  if (ssh_pki_import_privkey_file(path.c_str(), nullptr, no_passphrase, &file.locked, &made) ==
      SSH_OK) {
    file.key.reset(made);
  }
  // A locked OpenSSH key shows its public half all the same; a PEM key only by its .pub file. The
  // path may also name the .pub file itself, when only the agent holds the other half.
  for (const std::string& place : {path + ".pub", path}) {
    if (file.key != nullptr) break;
    ssh_key shown = nullptr;
    if (!file.blob.empty() || ssh_pki_import_pubkey_file(place.c_str(), &shown) != SSH_OK) continue;
    file.blob = blob_of(shown);
    ssh_key_free(shown);
  }
  if (file.key != nullptr) file.blob = blob_of(file.key.get());
  return file;
}

std::vector<KeyFile> open_keys(const SshTarget& target) {
  std::vector<KeyFile> files;
  for (const std::string& path : target.identity_files) {
    std::error_code ignored;
    if (path != "none" && std::filesystem::exists(path, ignored)) files.push_back(open_key(path));
  }
  return files;
}

// libssh stops at the first key of an agent that it cannot read, so such keys are not shown to it.
bool libssh_reads(const std::string& blob) {
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < 4 && i < blob.size(); ++i)
    size = size << 8 | static_cast<unsigned char>(blob[i]);
  if (blob.size() < 4 || size > blob.size() - 4) return false;
  const auto type = ssh_key_type_from_name(blob.substr(4, size).c_str());
  ssh_key key = nullptr;
  if (type == SSH_KEYTYPE_UNKNOWN ||
      ssh_pki_import_pubkey_base64(base64_encode(blob).c_str(), type, &key) != SSH_OK) {
    return false;
  }
  ssh_key_free(key);
  return true;
}

// One login: what was tried, and what to say if nothing helped.
class Login {
 public:
  Login(ssh_session session, const SshTarget& target, const SshSettings& settings,
        const Patience& patience)
      : session_(session), target_(target), settings_(settings), patience_(patience) {}

  Result<void> run() {
    // "none" also makes the server say which methods it takes.
    if (auto in = step([&] { return ssh_userauth_none(session_, nullptr); }); !in || in_) return in;
    const std::vector<KeyFile> files = open_keys(target_);
    if (auto in = try_agent(files); !in || in_) return in;
    for (const KeyFile& file : files) {
      if (!file.blob.empty() && was_offered(file.blob)) continue;
      if (file.key == nullptr) {
        if (file.locked) locked_.push_back(file.path);
        continue;
      }
      ++files_tried_;
      auto in = step([&] { return ssh_userauth_publickey(session_, nullptr, file.key.get()); });
      if (!in || in_) return in;
    }
    return refused();
  }

 private:
  template <class Function>
  Result<void> step(Function function) {
    int code = SSH_AUTH_ERROR;
    if (!until_done(session_, patience_, SSH_AUTH_AGAIN, code, function)) {
      return stopped_or(
          patience_,
          {Code::unreachable, target_.alias + " went silent during authentication", "call again"});
    }
    in_ = code == SSH_AUTH_SUCCESS;
    partly_ = partly_ || code == SSH_AUTH_PARTIAL;
    const std::string words = words_of(session_);
    if (code == SSH_AUTH_ERROR && words.find("Too many authentication") != std::string::npos) {
      return Error{Code::auth_failed, target_.alias + " was offered too many keys: " + words,
                   "set IdentityFile and IdentitiesOnly yes for it in the ssh configuration"};
    }
    if (code == SSH_AUTH_ERROR && ssh_is_connected(session_) == 0)
      return Error{Code::unreachable, target_.alias + ": " + words, "call again"};
    return {};
  }

  // The configuration's own keys first, in its order, as ssh does; the others unless told not to.
  std::vector<std::string> choose(const std::vector<std::string>& held,
                                  const std::vector<KeyFile>& files) const {
    const auto contains = [](const std::vector<std::string>& all, const std::string& one) {
      return std::find(all.begin(), all.end(), one) != all.end();
    };
    std::vector<std::string> chosen;
    for (const KeyFile& file : files) {
      if (contains(held, file.blob) && !contains(chosen, file.blob)) chosen.push_back(file.blob);
    }
    for (const std::string& blob : held) {
      if (!target_.identities_only && !contains(chosen, blob)) chosen.push_back(blob);
    }
    std::erase_if(chosen, [](const std::string& blob) { return !libssh_reads(blob); });
    return chosen;
  }

  Result<void> try_agent(const std::vector<KeyFile>& files) {
    if (target_.identity_agent.empty()) return {};
    auto agent = SshAgent::connect(target_.identity_agent, patience_);
    agent_ = agent.ok() ? "the ssh agent" : "an ssh agent that does not answer";
    if (patience_.stop.stop_requested()) return stopped_or(patience_, {});
    if (!agent) return {};
    offered_ = choose((*agent)->keys(), files);
    if (offered_.empty()) return {};
    auto socket = (*agent)->serve(offered_);
    if (!socket) return socket.error();
    ssh_set_agent_socket(session_, *socket);  // libssh closes it
    return step([&] { return ssh_userauth_agent(session_, nullptr); });
  }

  bool was_offered(const std::string& blob) const {
    return std::find(offered_.begin(), offered_.end(), blob) != offered_.end();
  }

  Error refused() const {
    if (patience_.over()) {
      return stopped_or(
          patience_,
          {Code::auth_failed, "logging in to " + target_.alias + " took too long with " + agent_,
           "confirm or restart the agent, then call again"});
    }
    std::string message = target_.alias + " refused our keys (tried " + agent_ + " and " +
                          std::to_string(files_tried_) + " of the identity files)";
    if (partly_) message = target_.alias + " wants more than a key (a second factor)";
    std::string next = "check with `" + ssh_command(target_.alias, settings_) +
                       " true`; a key with a passphrase must be in the agent (ssh-add); passwords "
                       "are not used";
    if (!locked_.empty()) {
      message += "; " + clean_line(join(locked_, ", "), 300) + " has a passphrase";
      next = "put it into the agent: `ssh-add " + clean_line(locked_.front(), 300) + "`";
    }
    return {Code::auth_failed, message, next};
  }

  ssh_session session_;
  const SshTarget& target_;
  const SshSettings& settings_;
  const Patience& patience_;
  bool in_ = false;
  bool partly_ = false;
  int files_tried_ = 0;
  std::string agent_ = "no agent";
  std::vector<std::string> offered_ = {};
  std::vector<std::string> locked_ = {};
};

}  // namespace

Result<void> authenticate(ssh_session session, const SshTarget& target, const SshSettings& settings,
                          const Patience& patience) {
  return Login(session, target, settings, patience).run();
}

std::string blob_of(ssh_key key) {
  char* text = nullptr;
  if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) return "";
  const auto blob = base64_decode(text);
  ssh_string_free_char(text);
  return blob.value_or("");
}

}  // namespace rgt
