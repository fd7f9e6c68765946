// SPDX-License-Identifier: MIT
// Turn: a mutex whose wait has a limit, for std::unique_lock. Instead of std::timed_mutex, because
// ThreadSanitizer of GCC 12 does not know the call that one waits with (pthread_mutex_clocklock)
// and takes every race behind it for real.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace rgt {

class Turn {
 public:
  void lock() {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [this] { return !taken_; });
    taken_ = true;
  }
  bool try_lock() { return try_lock_for(std::chrono::milliseconds(0)); }
  bool try_lock_for(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_for(lock, limit, [this] { return !taken_; })) return false;
    taken_ = true;
    return true;
  }
  void unlock() {
    {
      const std::scoped_lock lock(mutex_);
      taken_ = false;
    }
    freed_.notify_one();
  }

 private:
  std::mutex mutex_ = {};
  std::condition_variable freed_ = {};
  bool taken_ = false;
};

}  // namespace rgt
