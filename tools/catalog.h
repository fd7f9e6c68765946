// SPDX-License-Identifier: MIT
// THE list of tools, in the order of the phases. A newcomer's front door.
#pragma once

#include <vector>

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

// `environment` must outlive the tools.
std::vector<Tool> catalog(Environment& environment);

}  // namespace rgt
