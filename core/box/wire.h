// SPDX-License-Identifier: MIT
// Wire: the bytes' way to a box, a TCP connection or a proxy program, opened within a deadline that
// holds: libssh's own connecting waits for the resolver and for a proxy as long as they like.
#pragma once

#include <memory>
#include <string>

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/box/patience.h"
#include "core/box/ssh_config.h"

namespace rgt {

struct Wire {
  int socket = -1;  // non-blocking; whoever takes it closes it
  std::unique_ptr<SocketProcess> proxy = {};
};

// unreachable with the reason, or cancelled.
Result<Wire> open_wire(const SshTarget& target, const SshSettings& settings,
                       const Patience& patience);

}  // namespace rgt
