// SPDX-License-Identifier: MIT
// A way for whole messages to come and go. read() is called by one thread; write() by any, also
// while another reads, and one message is never mixed with another.
#pragma once

#include <string>

namespace rgt::mcp {

struct Incoming {
  enum class Kind {
    message,   // `text` is one message as it came, not yet parsed
    too_long,  // one came that is over the transport's limit; it was dropped whole
    closed,    // nothing more will come
  } kind = Kind::closed;
  std::string text = {};
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual Incoming read() = 0;                         // blocks
  virtual bool write(const std::string& message) = 0;  // false: the other side is gone
};

}  // namespace rgt::mcp
