// SPDX-License-Identifier: MIT
// teardown_request: asks that a box may be given back. Refuses until every expected artifact is
// local and load-verified; then a human must approve this one action. Tool arguments never approve.
#pragma once

#include <string>

#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

Tool teardown_request_tool(Environment& environment);

// For `rgt approve REQUEST` on an interactive terminal: gathers every fact again and says what the
// human must read. not_found for an unknown request; refused (with the blockers) when the evidence
// no longer holds or the request is not waiting.
struct ApprovalQuestion {
  std::string request = {};
  std::string box = {};   // what the human must type
  std::string text = {};  // the action, its irreversibility, what survives, what would be lost
  std::string evidence_digest = {};
};
Result<ApprovalQuestion> approval_question(Environment& environment, const std::string& request,
                                           const Call& call);

// Records the human's answer (typed must be the box's name) and, when it approves, carries the
// action out or hands the verb over. `who` is the terminal's user name.
ToolResult answer_on_terminal(Environment& environment, const ApprovalQuestion& question,
                              const std::string& typed, const std::string& who, const Call& call);

}  // namespace rgt
