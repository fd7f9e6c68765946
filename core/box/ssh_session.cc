// SPDX-License-Identifier: MIT
#include "core/box/ssh_session.h"

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/bootstrap.h"
#include "core/box/known_hosts.h"
#include "core/box/ssh_auth.h"
#include "core/box/ssh_config.h"
#include "core/box/ssh_steps.h"
#include "core/box/wire.h"

namespace rgt {
namespace {

using Steady = std::chrono::steady_clock;

// A warm connection that was silent for longer may be a NAT's memory of one: ask before trusting
// it.
constexpr Seconds kTrustSilence(60);
constexpr Seconds kAskTimeout(5);  // an open connection answers a channel request in a round trip
constexpr std::size_t kErrorLimit = 65536;  // bytes of stderr kept: a script's complaint is short
constexpr std::uint64_t kKnownHostsLimit = 16u << 20;  // bytes of one known_hosts file
constexpr std::size_t kChunk = 32768;                  // bytes a write: the usual SSH packet

// The other side closed or reset the connection, whether or not bytes of it are still unread.
bool has_hung_up(ssh_session session) {
  const socket_t fd = ssh_get_fd(session);
  if (fd == SSH_INVALID_SOCKET) return true;
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 &&
         (entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

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

std::vector<std::string> aliases_in(const SshSettings& settings) {
  std::filesystem::path file = settings.config_file;
  if (file.empty()) {
    const char* home = std::getenv("HOME");
    file = std::filesystem::path(home == nullptr ? "/" : home) / ".ssh" / "config";
  }
  std::vector<std::string> aliases;
  const auto text = read_file(file, 1u << 20);
  if (!text) return aliases;
  for (std::string_view line : split(*text, '\n')) {
    line = trim(line);
    if (to_lower(line.substr(0, 5)) != "host " && to_lower(line.substr(0, 5)) != "host\t") continue;
    for (const std::string_view word : split(trim(line.substr(5)), ' ')) {
      if (!word.empty() && word.find_first_of("*?!") == std::string_view::npos)
        aliases.emplace_back(word);
    }
  }
  return aliases;
}

Error connect_error(const std::string& alias, const SshSettings& settings,
                    const std::string& words) {
  const std::string where =
      settings.config_file.empty() ? "~/.ssh/config" : settings.config_file.string();
  const std::vector<std::string> aliases = aliases_in(settings);
  const bool known = std::find(aliases.begin(), aliases.end(), alias) != aliases.end();
  if (!known && words.find("resolve") != std::string::npos) {
    const auto near = did_you_mean(alias, aliases);
    return {Code::unreachable,
            "no box named \"" + alias + "\": it is no Host in " + where +
                " and no address that resolves",
            near ? "did you mean " + *near + "?"
                 : "add a Host entry for it to " + where + ", or use `local`"};
  }
  return {
      Code::unreachable, "cannot connect to " + alias + ": " + words,
      "try `" + ssh_command(alias, settings) +
          " true` in a terminal; if it fails too, check address, port and power in the console"};
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

// Types of keys that are known for the box come first, so that a server with several keys shows the
// one that can be compared. (libssh would do this for one known_hosts file.)
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

// Unknown is refused with the way to accept it; changed and revoked are refused always, whatever
// StrictHostKeyChecking says.
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

// The configuration's algorithms, as far as libssh knows them. None left is an error: falling back
// to a default could be weaker than what was asked for.
Result<void> set_options(ssh_session session, const SshTarget& target, int fd) {
  const int no = 0;
  // Everything of the configuration comes from `ssh -G`; libssh must not read it its own way.
  ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
  ssh_options_set(session, SSH_OPTIONS_HOST, target.host.c_str());
  ssh_options_set(session, SSH_OPTIONS_USER, target.user.c_str());
  ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, "/dev/null");
  ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
  ssh_options_set(session, SSH_OPTIONS_FD, &fd);
  const std::string host_keys = host_key_algorithms(target);
  const auto list = [&](const char* name) {
    const auto found = target.lists.find(name);
    return found == target.lists.end() ? std::string() : found->second;
  };
  const std::pair<ssh_options_e, std::string> lists[] = {
      {SSH_OPTIONS_CIPHERS_C_S, list("ciphers")},
      {SSH_OPTIONS_CIPHERS_S_C, list("ciphers")},
      {SSH_OPTIONS_HMAC_C_S, list("macs")},
      {SSH_OPTIONS_HMAC_S_C, list("macs")},
      {SSH_OPTIONS_KEY_EXCHANGE, list("kexalgorithms")},
      {SSH_OPTIONS_HOSTKEYS, host_keys},
      {SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, list("pubkeyacceptedalgorithms")}};
  for (const auto& [option, value] : lists) {
    if (value.empty() || ssh_options_set(session, option, value.c_str()) == SSH_OK) continue;
    return Error{Code::invalid_argument,
                 "the ssh configuration of " + target.alias +
                     " leaves no algorithm that is known here: " + clean_line(value, 200),
                 "allow a newer one for this box (Ciphers, MACs, KexAlgorithms, ...)"};
  }
  return {};
}

// Key exchange, the host key, and who we are; the fingerprint of the key.
Result<std::string> shake_hands(ssh_session session, SocketProcess* proxy, const SshTarget& target,
                                const SshSettings& settings, ProcessRunner& processes,
                                const Patience& patience) {
  ssh_set_blocking(session, 0);
  int code = SSH_ERROR;
  const bool done =
      until_done(session, patience, SSH_AGAIN, code, [&] { return ssh_connect(session); });
  if (!done || code != SSH_OK) {
    std::string words =
        done ? words_of(session) : "no answer within " + seconds_of(settings.connect_timeout);
    // What a proxy program says tells more than that it hung up.
    const std::string said = proxy == nullptr ? "" : clean_line(proxy->errors(), 200);
    if (!said.empty()) words += " (" + said + ")";
    return stopped_or(patience, connect_error(target.alias, settings, words));
  }
  auto key = check_host_key(session, target, settings, processes, patience);
  if (!key) return key;
  if (auto welcome = authenticate(session, target, settings, patience); !welcome)
    return welcome.error();
  return key;
}

}  // namespace

struct SshSession::Handles {
  // Before the session, so that the session lets go of the socket first and the proxy may end by
  // itself.
  std::unique_ptr<SocketProcess> proxy = {};
  ssh_session session = ssh_new();
  ssh_channel channel = nullptr;

  void drop_channel() {
    if (channel != nullptr) ssh_channel_free(channel);
    channel = nullptr;
  }
  ~Handles() {
    drop_channel();
    if (session == nullptr) return;
    ssh_silent_disconnect(session);  // a goodbye on a dead link would wait for it
    ssh_free(session);
  }
  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
};

SshSession::SshSession(std::unique_ptr<Handles> handles, std::string alias)
    : handles_(std::move(handles)), alias_(std::move(alias)), last_heard_(Steady::now()) {}
SshSession::~SshSession() = default;

Result<std::unique_ptr<SshSession>> SshSession::connect(const std::string& alias,
                                                        const SshSettings& settings,
                                                        ProcessRunner& processes,
                                                        const Patience& whole) {
  const Patience patience = whole.at_most(settings.connect_timeout);
  auto target = read_ssh_target(alias, settings, processes, patience);
  if (!target) return target.error();
  auto wire = open_wire(*target, settings, patience);
  if (!wire) {
    if (wire.error().code != Code::unreachable) return wire.error();
    const std::string late = "no answer within " + seconds_of(settings.connect_timeout);
    return connect_error(alias, settings, patience.over() ? late : wire.error().message);
  }
  auto handles = std::make_unique<Handles>();
  require(handles->session != nullptr, "libssh could not make a session");
  handles->proxy = std::move(wire->proxy);
  if (auto set = set_options(handles->session, *target, wire->socket); !set) {
    ::close(wire->socket);
    return set.error();
  }
  auto key =
      shake_hands(handles->session, handles->proxy.get(), *target, settings, processes, patience);
  if (!key) return key.error();
  std::unique_ptr<SshSession> made(new SshSession(std::move(handles), alias));
  made->host_key_ = *key;
  return made;
}

Result<int> SshSession::ready(const Patience& whole) {
  ssh_session session = handles_->session;
  const Error dead{Code::unreachable, "the connection to " + alias_ + " is gone",
                   "call again: it reconnects"};
  // A channel opened long ago proves nothing about now; opening a new one does.
  if (Steady::now() - last_heard_ > kTrustSilence) handles_->drop_channel();
  if (has_hung_up(session)) return dead;
  int waited = 0;
  if (handles_->channel == nullptr) {
    handles_->channel = ssh_channel_new(session);
    waited = 1;
  }
  if (handles_->channel == nullptr || ssh_is_connected(session) == 0) return dead;
  const Patience patience = whole.at_most(kAskTimeout);
  int code = SSH_ERROR;
  if (!until_done(session, patience, SSH_AGAIN, code,
                  [&] { return ssh_channel_open_session(handles_->channel); })) {
    return stopped_or(patience, dead);
  }
  if (code != SSH_OK) return Error{dead.code, dead.message + ": " + words_of(session), dead.next};
  last_heard_ = Steady::now();
  return waited;
}

namespace {

// The names of RFC 4254, section 6.10.
int signal_number(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, int>, 13> kNames{{{"ABRT", SIGABRT},
                                                                     {"ALRM", SIGALRM},
                                                                     {"FPE", SIGFPE},
                                                                     {"HUP", SIGHUP},
                                                                     {"ILL", SIGILL},
                                                                     {"INT", SIGINT},
                                                                     {"KILL", SIGKILL},
                                                                     {"PIPE", SIGPIPE},
                                                                     {"QUIT", SIGQUIT},
                                                                     {"SEGV", SIGSEGV},
                                                                     {"TERM", SIGTERM},
                                                                     {"USR1", SIGUSR1},
                                                                     {"USR2", SIGUSR2}}};
  const auto* found = std::find_if(kNames.begin(), kNames.end(),
                                   [&](const auto& entry) { return entry.first == name; });
  return found == kNames.end() ? 0 : found->second;
}

void note_signal(ssh_session, ssh_channel, const char* name, int, const char*, const char*,
                 void* number) {
  if (name != nullptr) *static_cast<int*>(number) = signal_number(name);
}

// One script on one open channel: sends what is left, reads what is there, until the far side
// closes.
class Exchange {
 public:
  Exchange(ssh_session session, ssh_channel channel, const ScriptCall& call, Patience patience)
      : session_(session),
        channel_(channel),
        call_(call),
        nonce_(random_hex(8)),
        input_(bootstrap_stdin(call, nonce_)),
        patience_(std::move(patience)),
        last_byte_(Steady::now()) {
    ssh_callbacks_init(&callbacks_);
    callbacks_.userdata = &signal_;
    callbacks_.channel_exit_signal_function = note_signal;
    ssh_add_channel_callbacks(channel_, &callbacks_);
  }
  ~Exchange() { ssh_remove_channel_callbacks(channel_, &callbacks_); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // The exec request and the script leave together, without waiting for the request's answer: that
  // is what makes a look on a warm connection one round trip.
  Result<ScriptOutcome> run(const std::string& alias) {
    bool requested = false;
    while (true) {
      if (!requested) {
        const int code = ssh_channel_request_exec(channel_, kBootstrapCommand.c_str());
        if (code == SSH_ERROR) return refused(alias);
        requested = code == SSH_OK;
      }
      if (patience_.over()) return stopped_or(patience_, late(alias));
      bool moved = send();
      moved = receive(false) || moved;
      moved = receive(true) || moved;
      if (moved || buffered()) continue;
      // libssh calls a channel closed also when the whole connection is gone; only its end is an
      // end.
      if (requested && ssh_channel_is_eof(channel_) != 0) return conclude(alias);
      if (ssh_is_connected(session_) == 0) return lost(alias);
      if (ssh_channel_is_closed(channel_) != 0) return requested ? conclude(alias) : lost(alias);
      if (Steady::now() - last_byte_ >= call_.idle_timeout) return silent(alias);
      wait_for_socket(session_);
    }
  }

 private:
  bool send() {
    if (sent_ == input_.size()) return false;
    const auto room = static_cast<std::size_t>(ssh_channel_window_size(channel_));
    const std::size_t size = std::min({input_.size() - sent_, room, kChunk});
    if (size == 0) return false;
    const int wrote =
        ssh_channel_write(channel_, input_.data() + sent_, static_cast<std::uint32_t>(size));
    if (wrote <= 0) return false;
    sent_ += static_cast<std::size_t>(wrote);
    last_byte_ = Steady::now();
    if (sent_ == input_.size()) ssh_channel_send_eof(channel_);
    return true;
  }

  bool receive(bool is_stderr) {
    std::array<char, kChunk> buffer;
    const int got =
        ssh_channel_read_nonblocking(channel_, buffer.data(), buffer.size(), is_stderr ? 1 : 0);
    if (got <= 0) return false;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    std::string& kept = is_stderr ? outcome_.err : outcome_.out;
    const std::size_t limit = is_stderr ? kErrorLimit : call_.output_limit;
    const std::size_t room = limit - std::min(limit, kept.size());
    kept.append(bytes.substr(0, room));
    outcome_.truncated = outcome_.truncated || (bytes.size() > room && !is_stderr);
    outcome_.bytes_received += bytes.size();
    last_byte_ = Steady::now();
    return true;
  }

  // Reading one stream may have taken the other's bytes off the socket: then poll() would wait in
  // vain.
  bool buffered() const {
    const int a = ssh_channel_poll(channel_, 0);
    const int b = ssh_channel_poll(channel_, 1);
    return a > 0 || b > 0 || ssh_channel_poll(channel_, 0) > 0;
  }

  Result<ScriptOutcome> conclude(const std::string& alias) {
    // The exit status comes beside the end of output, a moment before or after it.
    int status = -1;
    while ((status = ssh_channel_get_exit_status(channel_)) == -1) {
      if (ssh_is_connected(session_) == 0) return lost(alias);
      if (ssh_channel_is_closed(channel_) != 0) break;
      if (patience_.over()) return stopped_or(patience_, late(alias));
      wait_for_socket(session_);
      ssh_channel_poll(channel_, 0);  // lets libssh take in what came
    }
    outcome_.exit_code = status;
    outcome_.bytes_sent = sent_;
    if (status == -1) outcome_.exit_code = 128 + signal_;  // 128 alone: a signal unknown here
    if (auto cut = cut_to_answer(outcome_, nonce_, alias); !cut) return cut.error();
    return std::move(outcome_);
  }

  Error refused(const std::string& alias) const {
    if (ssh_is_connected(session_) == 0) return lost(alias);
    return {Code::remote_failed,
            alias + " lets us in but runs no commands (" + words_of(session_) +
                "): this is a proxied SSH without exec",
            "use the direct TCP address and port that the platform shows for this box"};
  }
  Error lost(const std::string& alias) const {
    return {Code::unreachable, "the connection to " + alias + " broke while a script ran",
            "call again: work that was started on the box goes on there"};
  }
  Error late(const std::string& alias) const {
    return {Code::timeout,
            "a script on " + alias + " did not end within " + seconds_of(call_.total_timeout),
            "look for a hanging disk or GPU on the box, then call again"};
  }
  Error silent(const std::string& alias) const {
    return {Code::unreachable,
            alias + " went silent: no byte for " + seconds_of(call_.idle_timeout),
            "call again in a few minutes; unreachable is not dead"};
  }

  ssh_session session_;
  ssh_channel channel_;
  const ScriptCall& call_;
  std::string nonce_;
  std::string input_;
  Patience patience_;
  Steady::time_point last_byte_;
  std::size_t sent_ = 0;
  int signal_ = 0;
  ssh_channel_callbacks_struct callbacks_ = {};
  ScriptOutcome outcome_ = {};
};

}  // namespace

Result<ScriptOutcome> SshSession::run(const ScriptCall& call, const Patience& patience) {
  require(handles_->channel != nullptr, "run() without ready()");
  auto outcome = Exchange(handles_->session, handles_->channel, call, patience).run(alias_);
  handles_->drop_channel();
  if (!outcome) return outcome;
  last_heard_ = Steady::now();
  // The next call's channel is asked for now and confirmed while nobody waits.
  handles_->channel = ssh_channel_new(handles_->session);
  if (handles_->channel != nullptr && ssh_channel_open_session(handles_->channel) == SSH_ERROR) {
    handles_->drop_channel();
  }
  return outcome;
}

}  // namespace rgt
