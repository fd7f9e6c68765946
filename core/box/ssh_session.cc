// SPDX-License-Identifier: MIT
#include "core/box/ssh_session.h"

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include <libssh/libssh.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/bootstrap.h"

namespace rgt {
namespace {

using Steady = std::chrono::steady_clock;

constexpr Milliseconds kPollSlice(100);  // the longest we sleep before looking at stop and deadline
// A warm connection that was silent for longer may be a NAT's memory of one: ask before trusting
// it.
constexpr Seconds kTrustSilence(60);
constexpr Seconds kAskTimeout(5);  // an open connection answers a channel request in a round trip
constexpr std::size_t kErrorLimit = 65536;  // bytes of stderr kept: a script's complaint is short
constexpr std::size_t kChunk = 32768;       // bytes a write: the usual SSH packet

// Until when, and who may say stop earlier.
struct Patience {
  Steady::time_point until;
  std::stop_token stop;
  bool over() const { return stop.stop_requested() || Steady::now() >= until; }
};

void wait_for_socket(ssh_session session) {
  const socket_t fd = ssh_get_fd(session);
  if (fd == SSH_INVALID_SOCKET) {
    ::poll(nullptr, 0, 10);
    return;
  }
  // sshd holds small packets back until we acknowledge; the kernel forgets this wish, so it is said
  // again.
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  short events = POLLIN;
  if ((ssh_get_poll_flags(session) & SSH_WRITE_PENDING) != 0) events |= POLLOUT;
  pollfd entry{fd, events, 0};
  ::poll(&entry, 1, static_cast<int>(kPollSlice.count()));
}

// The other side closed or reset the connection, whether or not bytes of it are still unread.
bool has_hung_up(ssh_session session) {
  const socket_t fd = ssh_get_fd(session);
  if (fd == SSH_INVALID_SOCKET) return true;
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 &&
         (entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

// Calls a libssh function until it no longer says "again". False if patience ran out first.
template <class Function>
bool until_done(ssh_session session, const Patience& patience, int again, int& code,
                Function function) {
  while ((code = function()) == again) {
    if (patience.over()) return false;
    wait_for_socket(session);
  }
  return true;
}

std::string words_of(ssh_session session) { return clean_line(ssh_get_error(session), 200); }

std::string seconds_of(Milliseconds duration) {
  return to_words(std::chrono::ceil<Seconds>(duration));
}

Error stopped_or(const Patience& patience, Error error) {
  if (patience.stop.stop_requested())
    return {Code::cancelled, "stopped while talking to the box", "call again"};
  return error;
}

std::string fingerprint_of(ssh_session session) {
  ssh_key key = nullptr;
  if (ssh_get_server_publickey(session, &key) != SSH_OK) return "";
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  std::string text;
  if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) == 0) {
    char* printed = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
    if (printed != nullptr) text = printed;
    ssh_string_free_char(printed);
    ssh_clean_pubkey_hash(&hash);
  }
  ssh_key_free(key);
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

std::string ssh_command(const std::string& alias, const SshSettings& settings) {
  return settings.config_file.empty() ? "ssh " + alias
                                      : "ssh -F " + settings.config_file.string() + " " + alias;
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

// Unknown is refused with the way to accept it; changed is refused always.
Result<void> check_host_key(ssh_session session, const std::string& alias,
                            const SshSettings& settings, const std::string& fingerprint) {
  switch (ssh_session_is_known_server(session)) {
    case SSH_KNOWN_HOSTS_OK: return {};
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
      return Error{
          Code::host_key_changed,
          "the host key of " + alias + " CHANGED: it now shows " + fingerprint +
              ", known_hosts has another one. This is another machine, or somebody in between",
          "do not go on. Rented addresses are recycled: ask the user to compare the fingerprint in "
          "the "
          "provider's console; only if it is the new box, they remove the old key (ssh-keygen -R) "
          "and "
          "accept the new one"};
    default:
      return Error{Code::host_key_unknown,
                   "the host key of " + alias + " is not known yet: " + fingerprint,
                   "ask the user to run `" + ssh_command(alias, settings) +
                       " true` in a terminal, compare this fingerprint with the provider's "
                       "console, and answer yes"};
  }
}

Result<void> authenticate(ssh_session session, const std::string& alias,
                          const SshSettings& settings, const Patience& patience) {
  int code = SSH_AUTH_ERROR;
  const Error silent{Code::unreachable, alias + " went silent during authentication", "call again"};
  // "none" also makes the server say which methods it takes.
  if (!until_done(session, patience, SSH_AUTH_AGAIN, code,
                  [&] { return ssh_userauth_none(session, nullptr); })) {
    return stopped_or(patience, silent);
  }
  if (code == SSH_AUTH_SUCCESS) return {};
  if (code == SSH_AUTH_ERROR)
    return Error{Code::unreachable, alias + ": " + words_of(session), "call again"};
  if (!until_done(session, patience, SSH_AUTH_AGAIN, code,
                  [&] { return ssh_userauth_publickey_auto(session, nullptr, nullptr); })) {
    return stopped_or(patience, silent);
  }
  if (code == SSH_AUTH_SUCCESS) return {};
  const char* agent = std::getenv("SSH_AUTH_SOCK");
  return Error{
      Code::auth_failed,
      alias + " refused our keys (tried " +
          std::string(agent == nullptr || *agent == '\0' ? "no agent" : "the ssh agent") +
          " and the identity files of the ssh configuration)",
      "check with `" + ssh_command(alias, settings) +
          " true`; a key with a passphrase must be in the agent (ssh-add); passwords are not used"};
}

}  // namespace

struct SshSession::Handles {
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
                                                        std::stop_token stop) {
  auto handles = std::make_unique<Handles>();
  ssh_session session = handles->session;
  require(session != nullptr, "libssh could not make a session");
  const int strict = 1;
  ssh_options_set(session, SSH_OPTIONS_HOST, alias.c_str());
  const char* config = settings.config_file.empty() ? nullptr : settings.config_file.c_str();
  if (ssh_options_parse_config(session, config) != SSH_OK && config != nullptr) {
    return Error{Code::invalid_argument, "cannot read the ssh configuration " + std::string(config),
                 "check RGT_SSH_CONFIG"};
  }
  // After the configuration, so that a StrictHostKeyChecking=no in it cannot weaken us.
  ssh_options_set(session, SSH_OPTIONS_STRICTHOSTKEYCHECK, &strict);
  ssh_set_blocking(session, 0);

  const Patience patience{Steady::now() + settings.connect_timeout, stop};
  int code = SSH_ERROR;
  if (!until_done(session, patience, SSH_AGAIN, code, [&] { return ssh_connect(session); })) {
    return stopped_or(
        patience,
        connect_error(alias, settings, "no answer within " + seconds_of(settings.connect_timeout)));
  }
  if (code != SSH_OK) return connect_error(alias, settings, words_of(session));
  const int on = 1;
  ::setsockopt(ssh_get_fd(session), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  // A call is several small packets; held back by Nagle they cost two delayed ACKs, 80 ms.
  ::setsockopt(ssh_get_fd(session), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

  const std::string fingerprint = fingerprint_of(session);
  if (auto known = check_host_key(session, alias, settings, fingerprint); !known)
    return known.error();
  if (auto welcome = authenticate(session, alias, settings, patience); !welcome)
    return welcome.error();
  std::unique_ptr<SshSession> made(new SshSession(std::move(handles), alias));
  made->host_key_ = fingerprint;
  return made;
}

Result<int> SshSession::ready(std::stop_token stop) {
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
  const Patience patience{Steady::now() + kAskTimeout, stop};
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

// One script on one open channel: sends what is left, reads what is there, until the far side
// closes.
class Exchange {
 public:
  Exchange(ssh_session session, ssh_channel channel, const ScriptCall& call, std::stop_token stop)
      : session_(session),
        channel_(channel),
        call_(call),
        nonce_(random_hex(8)),
        input_(bootstrap_stdin(call, nonce_)),
        patience_{Steady::now() + call.total_timeout, stop},
        last_byte_(Steady::now()) {}

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
      const bool moved = send() | receive(false) | receive(true);
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
    if (status == -1)
      outcome_.exit_code = 128;  // ended by a signal whose number libssh does not tell
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
  ScriptOutcome outcome_ = {};
};

}  // namespace

Result<ScriptOutcome> SshSession::run(const ScriptCall& call, std::stop_token stop) {
  require(handles_->channel != nullptr, "run() without ready()");
  auto outcome = Exchange(handles_->session, handles_->channel, call, stop).run(alias_);
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
