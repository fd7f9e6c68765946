// SPDX-License-Identifier: MIT
// Non-blocking libssh, one step at a time: a call is repeated until it is done or patience is over.
// Only the .cc files of this room that speak libssh include it.
#pragma once

#include <string>

#include <libssh/libssh.h>

#include "core/base/result.h"
#include "core/box/patience.h"

namespace rgt {

// Until the socket can be read (or written, if something waits to be), at most 100 ms.
void wait_for_socket(ssh_session session);

// Calls a libssh function until it no longer says `again`. False if patience ran out first.
template <class Function>
bool until_done(ssh_session session, const Patience& patience, int again, int& code,
                Function function) {
  while ((code = function()) == again) {
    if (patience.over()) return false;
    wait_for_socket(session);
  }
  return true;
}

std::string words_of(ssh_session session);  // libssh's own last words, clean and short
std::string seconds_of(Milliseconds duration);

// `error`, or that the caller asked to stop.
Error stopped_or(const Patience& patience, Error error);

}  // namespace rgt
