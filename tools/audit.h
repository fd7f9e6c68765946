// SPDX-License-Identifier: MIT
// See audit.cc: the whole story of this tool.
#pragma once

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

Tool audit_tool(Environment& environment);  // `environment` must outlive the tool

}  // namespace rgt
