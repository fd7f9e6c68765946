// SPDX-License-Identifier: MIT
#include "server/signals.h"

#include <array>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "core/base/result.h"

namespace rgt {
namespace {

int write_end = -1;  // the one thing a signal handler can reach

void wake_waiter() {
  const char byte = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(write_end, &byte, 1);
}

void on_signal(int number) {
  std::signal(number, SIG_DFL);
  wake_waiter();
}

}  // namespace

Signals::Signals() {
  std::array<int, 2> ends{};
  require(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0, "no pipe for signals");
  read_end_ = ends[0];
  write_end = ends[1];
  waiter_ = std::jthread([this](std::stop_token stop) {
    pollfd entry{read_end_, POLLIN, 0};
    while (::poll(&entry, 1, -1) <= 0) {  // a signal that this thread takes interrupts it
    }
    if (!stop.stop_requested()) source_.request_stop();
  });
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

Signals::~Signals() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  waiter_.request_stop();
  wake_waiter();
  waiter_.join();
  ::close(write_end);
  ::close(read_end_);
}

}  // namespace rgt
