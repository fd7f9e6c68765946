// SPDX-License-Identifier: MIT
#include "core/box/ssh_session.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include <libssh/libssh.h>
#include <libssh/server.h>  // ssh_send_keepalive
#include <poll.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/box/no_exec.h"
#include "core/box/ssh_auth.h"
#include "core/box/ssh_config.h"
#include "core/box/ssh_exchange.h"
#include "core/box/ssh_host_key.h"
#include "core/box/ssh_prepared.h"
#include "core/box/ssh_steps.h"
#include "core/box/wire.h"

namespace rgt {
namespace {

using Steady = std::chrono::steady_clock;

// A warm connection that was silent for longer may be a NAT's memory of one: ask before trusting
// it.
constexpr Seconds kTrustSilence(60);
constexpr Seconds kAskTimeout(
    10);  // to start a shell on an open connection; a busy box takes a while
constexpr Seconds kEndTimeout(2);  // for a shell to see that nothing more comes, and to end
// A prepared shell that ends sooner by itself is no time-out of the box's: the box wants none.
constexpr Seconds kShellLife(60);

// The other side closed or reset the connection, whether or not bytes of it are still unread.
bool has_hung_up(ssh_session session) {
  const socket_t fd = ssh_get_fd(session);
  if (fd == SSH_INVALID_SOCKET) return true;
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 &&
         (entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
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
  ssh_options_set(session, SSH_OPTIONS_COMPRESSION, target.compression ? "yes" : "no");
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
  ssh_counter_struct traffic = {};
  std::unique_ptr<PreparedShell> next = {};     // for the next call
  std::unique_ptr<PreparedShell> staying = {};  // a script waits in it for its next request
  std::string staying_script = {};

  ~Handles() {
    next.reset();
    staying.reset();
    if (session == nullptr) return;
    ssh_silent_disconnect(session);  // a goodbye on a dead link would wait for it
    ssh_free(session);
  }
  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
};

SshSession::SshSession(std::unique_ptr<Handles> handles, std::string alias, const Upkeep& upkeep)
    : handles_(std::move(handles)), alias_(std::move(alias)), upkeep_(upkeep) {}
SshSession::~SshSession() = default;
ssh_session SshSession::libssh() const { return handles_->session; }

Result<std::unique_ptr<SshSession>> SshSession::connect(const SshTarget& target,
                                                        const SshSettings& settings,
                                                        ProcessRunner& processes,
                                                        const Patience& patience) {
  auto wire = open_wire(target, settings, patience);
  if (!wire) {
    if (wire.error().code != Code::unreachable) return wire.error();
    const std::string late = "no answer within " + seconds_of(settings.connect_timeout);
    return connect_error(target.alias, settings, patience.over() ? late : wire.error().message);
  }
  auto handles = std::make_unique<Handles>();
  require(handles->session != nullptr, "libssh could not make a session");
  handles->proxy = std::move(wire->proxy);
  if (auto set = set_options(handles->session, target, wire->socket); !set) {
    ::close(wire->socket);
    return set.error();
  }
  ssh_set_counters(handles->session, &handles->traffic, nullptr);
  auto key =
      shake_hands(handles->session, handles->proxy.get(), target, settings, processes, patience);
  if (!key) return key.error();
  std::unique_ptr<SshSession> made(new SshSession(std::move(handles), target.alias,
                                                  {target.alive_interval, target.alive_count_max}));
  made->host_key_ = *key;
  made->listen();
  return made;
}

// Bytes that came since the last time prove that the far side is there.
void SshSession::listen() {
  if (heard_bytes_ == handles_->traffic.in_bytes) return;
  heard_bytes_ = handles_->traffic.in_bytes;
  last_heard_ = Steady::now();
}

Error SshSession::gone() const {
  return {Code::unreachable, "the connection to " + alias_ + " is gone",
          "call again: it reconnects"};
}

Error SshSession::runs_nothing() const { return no_exec(alias_, "", -1); }

// Lets libssh read what came on the socket; it does so only for a channel that is asked.
void SshSession::take_in() {
  for (auto* shell : {&handles_->next, &handles_->staying}) {
    if (*shell != nullptr) ssh_channel_poll((*shell)->channel(), 0);
  }
  listen();
}

// What waits on the far side, as far as it can still be trusted.
void SshSession::drop_stale() {
  const bool silent =
      Steady::now() - last_heard_ > std::max<Milliseconds>(kTrustSilence, upkeep_.interval * 3 / 2);
  for (auto* shell : {&handles_->next, &handles_->staying}) {
    if (*shell != nullptr && (silent || (*shell)->is_over())) shell->reset();
  }
}

bool SshSession::stays_here(const ScriptCall& call) const {
  return call.stays && handles_->staying != nullptr && handles_->staying_script == call.script;
}

Result<int> SshSession::ready(const ScriptCall& call, const Patience& patience) {
  if (has_hung_up(handles_->session)) return gone();
  take_in();
  drop_stale();
  if (stays_here(call)) return 0;
  return prepare(patience);
}

// True if a script stayed and made room: on a box that allows one channel it is in everybody's way.
bool SshSession::end_staying(const Patience& patience) {
  const auto staying = std::move(handles_->staying);
  if (staying == nullptr) return false;
  ssh_channel_send_eof(staying->channel());  // its shell reads the end of its requests, and ends
  const Patience brief = patience.at_most(kEndTimeout);
  while (!brief.over() && ssh_channel_is_closed(staying->channel()) == 0 &&
         ssh_is_connected(handles_->session) != 0) {
    wait_for_socket(handles_->session);
    ssh_channel_poll(staying->channel(), 0);  // libssh takes in what came
  }
  return true;
}

Result<int> SshSession::prepare(const Patience& whole) {
  ssh_session session = handles_->session;
  std::unique_ptr<PreparedShell>& next = handles_->next;
  // One that was asked for ahead may have come while another was not quite closed, on a box that
  // allows one at a time; and that box may note the end of one that stayed after the next question.
  int tries_left = next == nullptr ? 0 : 1;
  int before = next == nullptr ? 0 : next->answers();
  if (next == nullptr) next = std::make_unique<PreparedShell>(session);
  const Patience patience = whole.at_most(kAskTimeout);
  using State = PreparedShell::State;
  for (State state = next->step(true); state != State::started; state = next->step(true)) {
    if (state == State::refused && ssh_is_connected(session) != 0) return runs_nothing();
    if (state == State::broken && end_staying(patience)) tries_left = 3;
    if (state == State::broken && ssh_is_connected(session) != 0 && tries_left > 0) {
      --tries_left;
      before -= next->answers();
      next = std::make_unique<PreparedShell>(session);
      continue;
    }
    if (state == State::refused || state == State::broken || ssh_is_connected(session) == 0) {
      const Error dead = gone();
      return Error{dead.code, dead.message + ": " + words_of(session), dead.next};
    }
    if (patience.over()) return stopped_or(patience, gone());
    wait_for_socket(session);
  }
  listen();
  return next->answers() - before;
}

// The next call's channel is opened while this call's answer is under way. A box that allows one
// channel at a time gets it afterwards.
void SshSession::open_next() {
  std::unique_ptr<PreparedShell>& next = handles_->next;
  if (next == nullptr && handles_->staying == nullptr && !one_at_a_time_)
    next = std::make_unique<PreparedShell>(handles_->session);
  if (next == nullptr || next->step(false) != PreparedShell::State::broken) return;
  next.reset();
  one_at_a_time_ = true;
}

Result<ScriptOutcome> SshSession::run(const ScriptCall& call, const Patience& patience) {
  if (call.stays) return run_to_stay(call, patience);
  require(handles_->next != nullptr, "run() without ready()");
  auto shell = std::move(handles_->next);
  auto outcome = exchange(handles_->session, shell->channel(), call, Asked::once, alias_, patience,
                          [this] { open_next(); });
  shell.reset();
  listen();
  if (!outcome) return outcome.error();
  if (handles_->next == nullptr && handles_->staying == nullptr)
    handles_->next = std::make_unique<PreparedShell>(handles_->session);
  return std::move(**outcome);
}

Result<ScriptOutcome> SshSession::run_to_stay(const ScriptCall& call, const Patience& patience) {
  int waited = 1;
  if (stays_here(call)) {
    auto outcome = exchange(handles_->session, handles_->staying->channel(), call, Asked::in_place,
                            alias_, patience, [] {});
    listen();
    if (!outcome) return outcome.error();
    if (outcome->has_value()) return std::move(**outcome);
    handles_->staying.reset();
    const auto prepared = prepare(patience);
    if (!prepared) return prepared.error();
    waited += *prepared + 1;
  }
  require(handles_->next != nullptr, "run() without ready()");
  auto shell = std::move(handles_->next);
  auto outcome =
      exchange(handles_->session, shell->channel(), call, Asked::to_stay, alias_, patience, [] {});
  listen();
  if (!outcome) return outcome.error();
  if (!shell->is_over()) {
    handles_->staying = std::move(shell);
    handles_->staying_script = call.script;
  }
  (*outcome)->round_trips = waited;
  return std::move(**outcome);
}

SshSession::Tended SshSession::tend() {
  const Tended dead{-1, Milliseconds(0), false};
  ssh_session session = handles_->session;
  if (has_hung_up(session)) return dead;
  std::unique_ptr<PreparedShell>& next = handles_->next;
  std::unique_ptr<PreparedShell>& staying = handles_->staying;
  take_in();
  if (ssh_is_connected(session) == 0) return dead;
  if (staying != nullptr && staying->is_over()) staying.reset();
  if (next != nullptr && next->is_over()) {
    if (Steady::now() - next->since() < kShellLife) return dead;
    next.reset();
  }
  if (next == nullptr && staying == nullptr) next = std::make_unique<PreparedShell>(session);
  if (next != nullptr) {
    const auto state = next->step(true);
    if (state == PreparedShell::State::refused || state == PreparedShell::State::broken)
      return dead;
  }
  if (!keep_alive()) return dead;
  return {ssh_get_fd(session), upkeep_.interval, true};
}

// False once more questions than allowed found no answer.
bool SshSession::keep_alive() {
  const auto silence = Steady::now() - last_heard_;
  if (silence < upkeep_.interval) {
    if (asked_) ssh_send_keepalive(handles_->session);  // takes in the answer, sends nothing
    asked_ = false;
    return true;
  }
  // libssh asks no second time before the first question is answered; TCP repeats it.
  asked_ = true;
  ssh_send_keepalive(handles_->session);
  return silence < upkeep_.interval * (upkeep_.count_max + 1);
}

}  // namespace rgt
