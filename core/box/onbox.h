// SPDX-License-Identifier: MIT
// The scripts that run on a box, and the two encodings between them and us: words travel to the box
// so that the script's `decode` gives back the very bytes, answers come back whole or as an Error.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/box/shell.h"

namespace rgt {

// The shared functions, then core/box/onbox/<name>.sh, both without their comments.
std::string onbox_script(std::string_view name);

// One token without spaces or newlines: "=text", or "%text" for printf %b. No NUL may be in
// `bytes`.
std::string onbox_word(std::string_view bytes);

// The answer of a script that did its work; remote_failed or limit otherwise. `what` names the
// errand for the message: "the look".
Result<std::string> onbox_answer(Result<ScriptOutcome> outcome, std::string_view what);

}  // namespace rgt
