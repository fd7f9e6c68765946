// SPDX-License-Identifier: MIT
#include "core/base/workers.h"

#include <system_error>
#include <thread>
#include <utility>

namespace rgt {

Workers::~Workers() {
  std::unique_lock lock(mutex_);
  closing_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return threads_.empty(); });
  lock.unlock();
  join_ended();
}

void Workers::join_ended() {
  Threads ended;
  {
    const std::scoped_lock lock(mutex_);
    ended.swap(ended_);
  }
  for (std::thread& thread : ended) thread.join();
}

bool Workers::run(std::function<void()> work) {
  join_ended();
  const std::scoped_lock lock(mutex_);
  if (closing_) return false;
  if (idle_threads_ > 0) {
    --idle_threads_;
    waiting_.push_back(std::move(work));
    changed_.notify_all();
    return true;
  }
  if (threads_.size() >= most_) return false;
  try {
    const auto self = threads_.emplace(threads_.end());
    *self = std::thread(&Workers::serve, this, self, std::move(work));
  } catch (const std::system_error&) {
    threads_.pop_back();
    return false;
  }
  return true;
}

std::size_t Workers::busy() const {
  const std::scoped_lock lock(mutex_);
  return threads_.size() - idle_threads_;
}

void Workers::wait_for_room(Milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return has_room(); });
}

void Workers::serve(Threads::iterator self, std::function<void()> work) {
  while (true) {
    work();
    work = nullptr;  // what it holds must not live as long as an idle thread
    std::unique_lock lock(mutex_);
    ++idle_threads_;
    changed_.notify_all();
    changed_.wait_for(lock, idle_, [this] { return closing_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      --idle_threads_;
      ended_.splice(ended_.end(), threads_, self);
      changed_.notify_all();
      return;
    }
    work = std::move(waiting_.front());
    waiting_.pop_front();
  }
}

}  // namespace rgt
