// SPDX-License-Identifier: MIT
#include "core/box/ssh_keeper.h"

#include <algorithm>
#include <cstdint>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/result.h"

namespace rgt {
namespace {

using Steady = std::chrono::steady_clock;

constexpr Milliseconds kLongestSleep(60'000);  // however calm the boxes are

// What one shell wants: to be tended when its socket can be read, and at `due` in any case.
struct Watch {
  int socket = -1;
  Steady::time_point due = {};
};

}  // namespace

SshKeeper::SshKeeper() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  require(event_ >= 0, "no eventfd for the keeper of connections");
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

SshKeeper::~SshKeeper() {
  thread_.request_stop();
  wake();
  thread_.join();
  ::close(event_);
}

void SshKeeper::add(std::shared_ptr<SshShell> shell) {
  {
    const std::scoped_lock lock(mutex_);
    shells_.push_back(std::move(shell));
  }
  wake();
}

void SshKeeper::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(event_, &one, sizeof one);
}

std::vector<std::shared_ptr<SshShell>> SshKeeper::shells() {
  const std::scoped_lock lock(mutex_);
  return shells_;
}

void SshKeeper::serve(const std::stop_token& stop) {
  std::vector<Watch> watches;
  std::vector<pollfd> entries;
  while (!stop.stop_requested()) {
    auto until = Steady::now() + kLongestSleep;
    entries.assign(1, {event_, POLLIN, 0});
    for (const Watch& watch : watches) {
      entries.push_back({watch.socket, POLLIN, 0});
      until = std::min(until, watch.due);
    }
    const auto left = std::chrono::ceil<Milliseconds>(until - Steady::now());
    ::poll(entries.data(), entries.size(), static_cast<int>(std::max<long>(left.count(), 0)));
    std::uint64_t calls = 0;
    [[maybe_unused]] const ssize_t got = ::read(event_, &calls, sizeof calls);
    // Added ones stand at the end; none is ever taken away.
    const auto all = shells();
    watches.resize(all.size());
    for (std::size_t i = 0; i < all.size() && !stop.stop_requested(); ++i) {
      const bool readable = i + 1 < entries.size() && entries[i + 1].revents != 0;
      if (!readable && !all[i]->was_used() && Steady::now() < watches[i].due) continue;
      const SshShell::Tended tended = all[i]->tend();
      watches[i] = {tended.socket, Steady::now() + std::min(tended.wait, kLongestSleep)};
    }
  }
}

}  // namespace rgt
