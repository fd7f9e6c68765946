// SPDX-License-Identifier: MIT
// See patrol_tick.cc: the whole story of this tool.
#pragma once

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

Tool patrol_tick_tool(Environment& environment);  // `environment` must outlive the tool

}  // namespace rgt
