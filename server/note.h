// SPDX-License-Identifier: MIT
// `rgt note`: drafts a handbook entry into <state>/notes/ID.md for a person to accept. Nothing
// rewrites the handbook by itself.
#pragma once

#include "server/environment.h"
#include "server/options.h"

namespace rgt {

int draft_note(World& world, const Options& options);  // 0, or the error's code

}  // namespace rgt
