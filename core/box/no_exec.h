// SPDX-License-Identifier: MIT
// Accounts that let us in and run no commands: proxied SSH of platforms (a terminal only),
// SFTP-only and disabled accounts, images that want another user. What they say, and what helps.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace rgt {

// `said`: what came instead of our script's answer (untrusted); may be empty. remote_failed, with
// the fix of the platform's profile where the words are a platform's.
Error no_exec(std::string_view box, std::string_view said, int exit_code);

}  // namespace rgt
