// SPDX-License-Identifier: MIT
// Being an MCP server, until the client closes or a signal comes.
#pragma once

#include "server/options.h"
#include "tools/environment.h"

namespace rgt {

// Exit code of the process. With options.http empty: standard input and output.
int serve(Environment& environment, const Options& options);

}  // namespace rgt
