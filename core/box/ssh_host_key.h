// SPDX-License-Identifier: MIT
// Is it the machine we know? The key that a box shows against every known_hosts file and the
// revocation list of the configuration.
#pragma once

#include <string>

#include <libssh/libssh.h>

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/box/patience.h"
#include "core/box/ssh_config.h"

namespace rgt {

// The fingerprint of the key that the session was shown. Unknown is refused with the way to accept
// it; changed and revoked are refused always, whatever StrictHostKeyChecking says.
Result<std::string> check_host_key(ssh_session session, const SshTarget& target,
                                   const SshSettings& settings, ProcessRunner& processes,
                                   const Patience& patience);

// What to ask the server for. Types of keys that are known for the box come first, so that a server
// with several keys shows the one that can be compared. (libssh would do this for one known_hosts
// file.)
std::string host_key_algorithms(const SshTarget& target);

}  // namespace rgt
