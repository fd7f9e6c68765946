// SPDX-License-Identifier: MIT
#include "core/box/ssh_exchange.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>
#include <utility>

#include <libssh/callbacks.h>

#include "core/base/digest.h"
#include "core/box/bootstrap.h"
#include "core/box/no_exec.h"
#include "core/box/ssh_steps.h"

namespace rgt {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kErrorLimit = 65536;  // bytes of stderr kept: a script's complaint is short
constexpr std::size_t kChunk = 32768;       // bytes a write: the usual SSH packet
// Bytes a read. libssh lets the box send as much as a read asks for and 64 KB without one, so
// asking for much keeps a long answer flowing instead of costing a turn every 64 KB.
constexpr std::uint32_t kRead = 1u << 20;

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

class Exchange {
 public:
  Exchange(ssh_session session, ssh_channel channel, const ScriptCall& call, Asked how,
           const Patience& patience)
      : session_(session),
        channel_(channel),
        call_(call),
        how_(how),
        nonce_(random_hex(8)),
        request_nonce_(random_hex(8)),
        input_(what_goes_out()),
        patience_(patience),
        last_byte_(Steady::now()) {
    ssh_callbacks_init(&callbacks_);
    callbacks_.userdata = &signal_;
    callbacks_.channel_exit_signal_function = note_signal;
    ssh_add_channel_callbacks(channel_, &callbacks_);
  }
  ~Exchange() { ssh_remove_channel_callbacks(channel_, &callbacks_); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  Result<std::optional<ScriptOutcome>> run(const std::string& box,
                                           const std::function<void()>& meanwhile) {
    while (true) {
      if (patience_.over()) return stopped_or(patience_, late(box));
      bool moved = send();
      moved = receive(false) || moved;
      moved = receive(true) || moved;
      if (sent_ == input_.size()) meanwhile();  // may take our bytes off the socket, too
      if (answered()) return conclude_answer();
      if (moved || buffered()) continue;
      if (how_ == Asked::in_place && script_is_gone()) return std::optional<ScriptOutcome>();
      // libssh calls a channel closed also when the whole connection is gone; only its end is an
      // end.
      if (ssh_channel_is_eof(channel_) != 0) return conclude(box);
      if (ssh_is_connected(session_) == 0) return lost(box);
      if (ssh_channel_is_closed(channel_) != 0) return conclude(box);
      if (Steady::now() - last_byte_ >= call_.idle_timeout) return silent(box);
      wait_for_socket(session_);
    }
  }

 private:
  std::string what_goes_out() const {
    if (how_ == Asked::once) return bootstrap_stdin(call_, nonce_);
    const std::string request = request_to_staying(call_, request_nonce_);
    if (how_ == Asked::in_place) return request;
    ScriptCall first = call_;
    first.args = {"stay"};
    first.input = request;
    return bootstrap_stdin(first, nonce_);
  }

  bool script_is_gone() const {
    return ssh_is_connected(session_) != 0 &&
           (ssh_channel_is_eof(channel_) != 0 || ssh_channel_is_closed(channel_) != 0);
  }

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
    if (sent_ == input_.size() && how_ == Asked::once) ssh_channel_send_eof(channel_);
    return true;
  }

  bool receive(bool is_stderr) {
    const int got = ssh_channel_read_timeout(channel_, buffer_.get(), kRead, is_stderr ? 1 : 0, 0);
    if (got <= 0) return false;
    const std::string_view bytes(buffer_.get(), static_cast<std::size_t>(got));
    std::string& kept = is_stderr ? outcome_.err : outcome_.out;
    const std::size_t limit = is_stderr ? kErrorLimit : call_.output_limit;
    const std::size_t room = limit - std::min(limit, kept.size());
    kept.append(bytes.substr(0, room));
    if (!is_stderr && how_ != Asked::once) note_ending(bytes);
    outcome_.truncated = outcome_.truncated || (bytes.size() > room && !is_stderr);
    outcome_.bytes_received += bytes.size();
    last_byte_ = Steady::now();
    return true;
  }

  // The last line tells that an answer is whole, also where its bytes are too many to be kept.
  void note_ending(std::string_view bytes) {
    const std::size_t length = last_line_.size();
    ending_.append(bytes.substr(bytes.size() - std::min(bytes.size(), length)));
    if (ending_.size() > length) ending_.erase(0, ending_.size() - length);
  }
  bool answered() const { return how_ != Asked::once && ending_ == last_line_; }
  std::optional<ScriptOutcome> conclude_answer() {
    outcome_.exit_code = 0;
    outcome_.bytes_sent = sent_;
    cut_to_staying_answer(outcome_, request_nonce_);
    return std::move(outcome_);
  }

  // Reading one stream may have taken the other's bytes off the socket: then poll() would wait in
  // vain.
  bool buffered() const {
    const int a = ssh_channel_poll(channel_, 0);
    const int b = ssh_channel_poll(channel_, 1);
    return a > 0 || b > 0 || ssh_channel_poll(channel_, 0) > 0;
  }

  Result<std::optional<ScriptOutcome>> conclude(const std::string& box) {
    // The exit status comes beside the end of output, a moment before or after it.
    int status = -1;
    while ((status = ssh_channel_get_exit_status(channel_)) == -1) {
      if (ssh_is_connected(session_) == 0) return lost(box);
      if (ssh_channel_is_closed(channel_) != 0) break;
      if (patience_.over()) return stopped_or(patience_, late(box));
      wait_for_socket(session_);
      ssh_channel_poll(channel_, 0);  // lets libssh take in what came
    }
    outcome_.exit_code = status;
    outcome_.bytes_sent = sent_;
    if (status == -1) outcome_.exit_code = 128 + signal_;  // 128 alone: a signal unknown here
    if (auto cut = cut_to_answer(outcome_, nonce_, box); !cut) return cut.error();
    return std::optional<ScriptOutcome>(std::move(outcome_));
  }

  Error lost(const std::string& box) const {
    return {Code::unreachable, "the connection to " + box + " broke while a script ran",
            "call again: work that was started on the box goes on there"};
  }
  Error late(const std::string& box) const {
    return {Code::timeout,
            "a script on " + box + " did not end within " + seconds_of(call_.total_timeout),
            "look for a hanging disk or GPU on the box, then call again"};
  }
  Error silent(const std::string& box) const {
    // The first thing a started script says is its nonce.
    if (how_ != Asked::in_place && outcome_.out.find(nonce_) == std::string::npos) {
      const Error mute = no_exec(box, outcome_.err + outcome_.out, -1);
      return {Code::unreachable,
              mute.message + ", and went silent for " + seconds_of(call_.idle_timeout), mute.next};
    }
    return {Code::unreachable, box + " went silent: no byte for " + seconds_of(call_.idle_timeout),
            "call again in a few minutes; unreachable is not dead"};
  }

  ssh_session session_;
  ssh_channel channel_;
  const ScriptCall& call_;
  const Asked how_;
  const std::string nonce_;          // of the script's start
  const std::string request_nonce_;  // of one request to a script that stays
  const std::string last_line_ = end_of_answer(request_nonce_);
  const std::string input_;
  const Patience& patience_;
  std::unique_ptr<char[]> buffer_{new char[kRead]};  // touched only as far as bytes come
  Steady::time_point last_byte_;
  std::size_t sent_ = 0;
  std::string ending_ = {};  // the newest bytes of the answer
  int signal_ = 0;
  ssh_channel_callbacks_struct callbacks_ = {};
  ScriptOutcome outcome_ = {};
};

}  // namespace

Result<std::optional<ScriptOutcome>> exchange(ssh_session session, ssh_channel channel,
                                              const ScriptCall& call, Asked how,
                                              const std::string& box, const Patience& patience,
                                              const std::function<void()>& meanwhile) {
  return Exchange(session, channel, call, how, patience).run(box, meanwhile);
}

}  // namespace rgt
