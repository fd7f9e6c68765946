// SPDX-License-Identifier: MIT
// See launch.cc: the whole story of this tool.
#pragma once

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

Tool launch_tool(Environment& environment);  // `environment` must outlive the tool

}  // namespace rgt
