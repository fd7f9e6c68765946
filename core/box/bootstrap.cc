// SPDX-License-Identifier: MIT
#include "core/box/bootstrap.h"

#include <string>

#include "core/base/text.h"
#include "core/box/no_exec.h"
#include "core/box/onbox.h"

namespace rgt {

// "x" is put behind what $( ) reads and taken off again, because $( ) eats trailing newlines.
// One full-block read by dd and the shell's own `read` take no byte more than they are asked for,
// so what is left on stdin belongs to the script (`head -c` takes more under busybox).
const std::string_view kBootstrap =
    "PATH=${PATH:-/usr/bin:/bin}; export PATH; "
    "IFS=\" \" read -r rgt_size rgt_count rgt_word || exit 125; echo \"$rgt_word\"; "
    "rgt_script=$(dd bs=\"$rgt_size\" count=1 iflag=fullblock 2>/dev/null && echo x) || "
    "{ echo \"rgt: no usable dd\" >&2; exit 125; }; "
    "rgt_script=${rgt_script%x}; rgt_script=${rgt_script%?}; set --; "
    "while [ \"$rgt_count\" -gt 0 ]; do IFS= read -r rgt_word || exit 125; "
    "case $rgt_word in %*) rgt_word=$(printf %b \"${rgt_word#%}\" && echo x) || exit 125; "
    "rgt_word=${rgt_word%x};; *) rgt_word=${rgt_word#=};; esac; "
    "set -- \"$@\" \"$rgt_word\"; rgt_count=$((rgt_count - 1)); done; "
    "eval \"$rgt_script\"";

const std::string kBootstrapCommand = "exec /bin/sh -c '" + std::string(kBootstrap) + "'";

std::string bootstrap_stdin(const ScriptCall& call, std::string_view nonce) {
  // One byte more than the script: the newline that stands where the sentinel is cut off.
  std::string bytes = std::to_string(call.script.size() + 1) + " " +
                      std::to_string(call.args.size()) + " " + std::string(nonce) + "\n";
  bytes += call.script;
  bytes += '\n';
  for (const std::string& argument : call.args) {
    bytes += onbox_word(argument) + '\n';
  }
  bytes += call.input;
  return bytes;
}

Result<void> cut_to_answer(ScriptOutcome& outcome, std::string_view nonce, std::string_view box) {
  const std::string line = std::string(nonce) + "\n";
  const std::size_t at = outcome.out.find(line);
  if (at == std::string::npos) {
    return no_exec(box, outcome.err + outcome.out, outcome.exit_code);
  }
  outcome.out.erase(0, at + line.size());
  if (outcome.exit_code == 125 && outcome.err.find("rgt: no usable dd") != std::string::npos) {
    return Error{Code::missing_tool,
                 std::string(box) + " has no dd that takes whole blocks (iflag=fullblock)",
                 "install coreutils there (apt-get install -y coreutils), then call again"};
  }
  return {};
}

std::string request_to_staying(const ScriptCall& call, std::string_view nonce) {
  std::string bytes(nonce);
  for (const std::string& argument : call.args) {
    require(!argument.empty() && onbox_word(argument) == "=" + argument,
            "an argument for a script that stays is no plain word");
    bytes += " " + argument;
  }
  return bytes + "\n" + call.input;
}

std::string end_of_answer(std::string_view nonce) { return "\n" + std::string(nonce) + " end\n"; }

void cut_to_staying_answer(ScriptOutcome& outcome, std::string_view nonce) {
  const std::string line = std::string(nonce) + "\n";
  const std::size_t at = outcome.out.find(line);
  outcome.out.erase(0, at == std::string::npos ? outcome.out.size() : at + line.size());
  const std::string end = end_of_answer(nonce);
  if (outcome.out.ends_with(end)) outcome.out.resize(outcome.out.size() - end.size() + 1);
}

}  // namespace rgt
