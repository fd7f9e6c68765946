// SPDX-License-Identifier: MIT
// See probe.cc: the whole story of this tool.
#pragma once

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

Tool probe_tool(Environment& environment);  // `environment` must outlive the tool

}  // namespace rgt
