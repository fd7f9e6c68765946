// SPDX-License-Identifier: MIT
// See verify_artifacts.cc: the whole story of this tool.
#pragma once

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

Tool verify_artifacts_tool(Environment& environment);  // `environment` must outlive the tool

}  // namespace rgt
