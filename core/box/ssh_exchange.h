// SPDX-License-Identifier: MIT
// One request on one channel and its answer: of a script that runs once, until the far side closes;
// of a script that stays (ScriptCall::stays), until the line that ends its answer. Bounded in bytes
// and in time, and ends on a stop request within 100 ms.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <libssh/libssh.h>

#include "core/base/result.h"
#include "core/box/patience.h"
#include "core/box/shell.h"

namespace rgt {

enum class Asked {
  once,      // the script goes to a prepared shell, and the channel is used up
  to_stay,   // the same, and the script waits for the next request afterwards
  in_place,  // it stayed there: only the request goes out
};

// Nothing: the script that was asked in place is gone, and the request may be put to a new one.
// `box` is for messages. `meanwhile` is called again and again while we wait, once the request is
// out. After an Error other than remote_failed or missing_tool the connection is of no use.
Result<std::optional<ScriptOutcome>> exchange(ssh_session session, ssh_channel channel,
                                              const ScriptCall& call, Asked how,
                                              const std::string& box, const Patience& patience,
                                              const std::function<void()>& meanwhile);

}  // namespace rgt
