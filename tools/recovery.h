// SPDX-License-Identifier: MIT
// What a brand-new session needs to go on: the runs of the ledger, and one run's recovery note.
// Reads the ledger only; the box is looked at by the tools that the notes name.
#pragma once

#include <string>

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

// {"runs":[...]}: every run with its state, last verdict and what is proven.
Result<Json> runs_overview(Environment& environment);

// Markdown: where the run is, how to look at it, the exact commands, what happened last.
Result<std::string> recovery_note(Environment& environment, const std::string& run);

// Markdown: all that is open, and the one call to begin with.
Result<std::string> takeover_note(Environment& environment);

}  // namespace rgt
