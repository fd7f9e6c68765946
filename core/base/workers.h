// SPDX-License-Identifier: MIT
// Workers: threads that are kept a while for the next piece of work, because starting one costs as
// much as a quick call. A bound on how many there are is the bound on what runs at once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "core/base/clock.h"

namespace rgt {

// Every method may be called from any thread, run() also from inside a piece of work.
class Workers {
 public:
  // `most`: pieces of work at once, at least 1. `idle`: how long a thread without work is kept.
  explicit Workers(std::size_t most, Milliseconds idle = Seconds(10)) : most_(most), idle_(idle) {}
  // Waits for all work that was accepted, and for the threads; nothing may be given any more.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // False: as many as allowed are busy, or no thread could be made; `work` was not taken. `work`
  // must not throw.
  bool run(std::function<void()> work);
  std::size_t busy() const;
  // Until run() would take something, at most this long. Another caller may be quicker.
  void wait_for_room(Milliseconds patience);

 private:
  using Threads = std::list<std::thread>;
  void serve(Threads::iterator self, std::function<void()> work);
  void join_ended();
  bool has_room() const { return idle_threads_ > 0 || threads_.size() < most_; }

  const std::size_t most_;
  const Milliseconds idle_;
  mutable std::mutex mutex_ = {};
  std::condition_variable changed_ = {};
  std::deque<std::function<void()>> waiting_ = {};  // given to threads that are idle
  std::size_t idle_threads_ = 0;                    // idle and not yet promised to `waiting_`
  Threads threads_ = {};
  Threads ended_ = {};  // to be joined by whoever comes next
  bool closing_ = false;
};

}  // namespace rgt
