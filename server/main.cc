// SPDX-License-Identifier: MIT
// Flags -> real things -> tools -> a command or a session. Nothing clever.
#include <csignal>
#include <iostream>

#include "server/commands.h"
#include "server/options.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an error of a write, not our death
  // Whoever started us may have had it ignored, which would hide how our children ended.
  std::signal(SIGCHLD, SIG_DFL);
  const rgt::ParsedOptions parsed = rgt::parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  try {
    return rgt::run_command(*parsed.options);
  } catch (const std::exception& error) {
    std::cerr << "rgt: internal error: " << error.what() << "\n";
    return 1;
  }
}
