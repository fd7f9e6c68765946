// SPDX-License-Identifier: MIT
// The constant command that starts every script on a box, and the stdin that goes with it.
// The command never contains a value, so no login shell (sh, bash, zsh, fish, csh) can misread one.
#pragma once

#include <string>
#include <string_view>

#include "core/box/shell.h"

namespace rgt {

// argv for a local start is {"/bin/sh", "-c", kBootstrap}; over SSH the exec request is
// kBootstrapCommand. Wire format on stdin:
//   line 1: "<script bytes> <number of args> <nonce>"; the nonce is echoed on a line of its own, so
//   that whatever a chatty login shell printed before it can be told from the answer
//   then the script, exactly that many bytes
//   then one line per arg, an onbox_word (onbox.h), decoded on the box without eval
//   then the rest: the script's own stdin
extern const std::string_view kBootstrap;
extern const std::string kBootstrapCommand;  // exec /bin/sh -c '<kBootstrap>'; no ' inside it

std::string bootstrap_stdin(const ScriptCall& call, std::string_view nonce);

// Cuts `outcome.out` to what came after the nonce's line. remote_failed if it never came: then the
// login shell did not start our script (no_exec.h). missing_tool if the box
// has no dd to take the script with.
Result<void> cut_to_answer(ScriptOutcome& outcome, std::string_view nonce, std::string_view box);

// For a script that stays (ScriptCall::stays): one request, the line that its answer ends with (and
// the newline before it), and the answer alone.
std::string request_to_staying(const ScriptCall& call, std::string_view nonce);
std::string end_of_answer(std::string_view nonce);
void cut_to_staying_answer(ScriptOutcome& outcome, std::string_view nonce);

}  // namespace rgt
