// SPDX-License-Identifier: MIT
// Logging for the people who run the server: stderr only (stdout belongs to the protocol).
// Never pass a secret or unbounded remote text. Safe from any thread.
#pragma once

#include <string_view>

namespace rgt::log {

enum class Level { debug, info, warn, error, off };

void set_level(
    Level level);  // RGT_LOG=debug|info|warn|error|off sets the start value; default warn
void debug(std::string_view message);
void info(std::string_view message);
void warn(std::string_view message);
void error(std::string_view message);

}  // namespace rgt::log
