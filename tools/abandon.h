// SPDX-License-Identifier: MIT
// Abandoning a run: a person says that nothing of it has to be kept. Only `rgt abandon` on a
// terminal does it; no tool can. An abandoned run no longer needs artifacts, but must still be dead
// on its box.
#pragma once

#include <string>

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

// What the human must read before typing the run's name. refused if it is abandoned already.
Result<std::string> abandon_question(Environment& environment, const std::string& run);

ToolResult abandon_on_terminal(Environment& environment, const std::string& run,
                               const std::string& typed, const std::string& who, const Call& call);

}  // namespace rgt
