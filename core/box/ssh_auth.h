// SPDX-License-Identifier: MIT
// Proving to a box who we are: the agent's keys, then the key files of the configuration, as ssh
// does it. Never asks anybody anything: no password, no passphrase.
#pragma once

#include <libssh/libssh.h>

#include "core/base/result.h"
#include "core/box/patience.h"
#include "core/box/ssh_config.h"

namespace rgt {

// The session's host key must have been checked. auth_failed says what was tried, and which key
// files were passed over because of their passphrase.
Result<void> authenticate(ssh_session session, const SshTarget& target, const SshSettings& settings,
                          const Patience& patience);

// The bytes of a public key, as in known_hosts and in the agent's list; empty if it has none.
std::string blob_of(ssh_key key);

}  // namespace rgt
