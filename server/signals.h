// SPDX-License-Identifier: MIT
// SIGINT and SIGTERM as a stop token and as a descriptor that becomes readable. One object a
// process.
#pragma once

#include <stop_token>
#include <thread>

namespace rgt {

class Signals {
 public:
  Signals();  // takes the two signals over; a second one kills as usual
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  int descriptor() const { return read_end_; }

 private:
  int read_end_ = -1;
  std::stop_source source_ = {};
  std::jthread waiter_ = {};
};

}  // namespace rgt
