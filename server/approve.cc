// SPDX-License-Identifier: MIT
#include "server/approve.h"

#include <array>
#include <cstdlib>
#include <iostream>
#include <optional>

#include <fcntl.h>
#include <pwd.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/text.h"
#include "server/print.h"
#include "server/signals.h"
#include "tools/abandon.h"
#include "tools/teardown_request.h"

namespace rgt {
namespace {

// Set by coding agents in the shells they start. A terminal with one of these is not the person's
// own. This stops honest mistakes; a program that removes the variable and makes a terminal of its
// own can still type, which README.md says plainly.
constexpr std::array<const char*, 10> kAgentVariables{
    "CLAUDECODE",      "CLAUDE_CODE_SESSION_ID",
    "CODEX_SANDBOX",   "CODEX_SANDBOX_NETWORK_DISABLED",
    "CODEX_THREAD_ID", "CURSOR_AGENT",
    "CURSOR_TRACE_ID", "GEMINI_CLI",
    "COPILOT_AGENT",   "OPENCODE"};

Error refusal(const std::string& why, const std::string& command) {
  return {Code::refused, why, "a person runs this in a terminal window of their own: " + command};
}

class Terminal {
 public:
  static Result<Terminal> open(const std::string& command) {
    for (const char* name : kAgentVariables) {
      const char* value = std::getenv(name);
      if (value != nullptr && *value != '\0') {
        return refusal(std::string("this shell belongs to a coding agent (") + name +
                           " is set); an agent cannot approve",
                       command);
      }
    }
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1) {
      return refusal(
          "this is no interactive terminal; an answer from a pipe or a script is no approval",
          command);
    }
    const int file = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (file < 0) return refusal("there is no terminal to ask on", command);
    return Terminal(file);
  }
  Terminal(Terminal&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  Terminal& operator=(Terminal&&) = delete;
  ~Terminal() {
    if (file_ >= 0) ::close(file_);
  }

  // Shows the text, throws away what was typed ahead (nobody has read the question before it stood
  // there), and reads one line.
  std::string ask(const std::string& text) {
    write(text);
    ::tcflush(file_, TCIFLUSH);
    std::string line;
    char c = 0;
    while (line.size() < 256 && ::read(file_, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }

 private:
  explicit Terminal(int file) : file_(file) {}
  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t wrote = ::write(file_, text.data(), text.size());
      if (wrote <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }
  int file_;
};

std::string user_name() {
  const passwd* user = ::getpwuid(::getuid());
  return "terminal:" + std::string(user == nullptr ? std::to_string(::getuid()) : user->pw_name);
}

}  // namespace

int approve_on_terminal(Environment& environment, const std::string& request) {
  auto terminal = Terminal::open("rgt approve " + clean_line(request, 40));
  if (!terminal) return print_error(terminal.error());
  const Signals signals;
  Call call{.now = environment.clock.now(), .stop = signals.token()};
  ProgressLine progress(true);
  call.progress = [&](double, double, const std::string& message) { progress.show(message); };
  const auto question = approval_question(environment, request, call);
  progress.clear();
  if (!question) return print_error(question.error());
  const std::string typed = terminal->ask(
      question->text + "\nType the name of the box to approve, anything else to refuse: ");
  call.now = environment.clock.now();
  const ToolResult result = answer_on_terminal(environment, *question, typed, user_name(), call);
  progress.clear();
  return print_result(result, false);
}

int abandon_run_on_terminal(Environment& environment, const std::string& run) {
  auto terminal = Terminal::open("rgt abandon " + clean_line(run, 64));
  if (!terminal) return print_error(terminal.error());
  const auto question = abandon_question(environment, run);
  if (!question) return print_error(question.error());
  const std::string typed = terminal->ask(
      *question + "\nType the name of the run to abandon it, anything else to keep it: ");
  const Call call{.now = environment.clock.now()};
  return print_result(abandon_on_terminal(environment, run, typed, user_name(), call), false);
}

}  // namespace rgt
