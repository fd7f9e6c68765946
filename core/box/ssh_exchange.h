// SPDX-License-Identifier: MIT
// One script on one prepared channel: the request goes out whole, the answer is read until the far
// side closes. Bounded in bytes and in time, and ends on a stop request within 100 ms.
#pragma once

#include <functional>
#include <string>

#include <libssh/libssh.h>

#include "core/base/result.h"
#include "core/box/patience.h"
#include "core/box/shell.h"

namespace rgt {

// `box` is for messages. `meanwhile` is called again and again while we wait, once the request is
// out. After an Error other than remote_failed or missing_tool the connection is of no use.
Result<ScriptOutcome> exchange(ssh_session session, ssh_channel channel, const ScriptCall& call,
                               const std::string& box, const Patience& patience,
                               const std::function<void()>& meanwhile);

}  // namespace rgt
