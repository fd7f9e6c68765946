// SPDX-License-Identifier: MIT
// MCP over standard input and output: one JSON message a line, UTF-8, nothing else on stdout.
// (Specification 2025-11-25, "Transports", stdio.)
#pragma once

#include <cstddef>
#include <mutex>
#include <string>

#include "server/mcp/transport.h"

namespace rgt::mcp {

class StdioTransport final : public Transport {
 public:
  // Descriptors are not owned. `wake` (or -1) becomes readable when the program must end, so that a
  // signal ends a read that waits.
  StdioTransport(int input, int output, int wake) : input_(input), output_(output), wake_(wake) {}

  Incoming read() override;
  bool write(const std::string& message) override;

  // No message of MCP comes near this; a line beyond it is dropped as it arrives, in constant
  // memory.
  static constexpr std::size_t kLineLimit = 4u << 20;

 private:
  bool fill();

  const int input_;
  const int output_;
  const int wake_;
  std::string buffer_ = {};
  std::size_t searched_ = 0;  // bytes of buffer_ known to hold no newline
  bool dropping_ = false;     // inside a line that is over the limit
  std::mutex write_mutex_ = {};
};

}  // namespace rgt::mcp
