// SPDX-License-Identifier: MIT
#include "tools/catalog.h"

#include "tools/audit.h"
#include "tools/launch.h"
#include "tools/lookup.h"
#include "tools/patrol_tick.h"
#include "tools/probe.h"
#include "tools/teardown_request.h"
#include "tools/verify_artifacts.h"

namespace rgt {

std::vector<Tool> catalog(Environment& environment) {
  return {
      audit_tool(environment),             // phase 0-1: measure before money is spent
      launch_tool(environment),            // phase 2-3: start work that survives us
      probe_tool(environment),             // phase 4: one run in depth
      patrol_tick_tool(environment),       // phase 4: all runs, one line each
      verify_artifacts_tool(environment),  // phase 5: pull, and prove by loading
      teardown_request_tool(environment),  // phase 5: ask a person, never decide
      lookup_tool(environment),            // any time: what is known about a symptom
  };
}

}  // namespace rgt
