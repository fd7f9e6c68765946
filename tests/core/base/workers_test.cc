// SPDX-License-Identifier: MIT
#include "core/base/workers.h"

#include <atomic>
#include <latch>
#include <set>
#include <thread>

#include <catch2/catch.hpp>

namespace rgt {

TEST_CASE("Work beyond the bound is refused, and there is room again when some ends") {
  std::latch begun(2);
  std::latch go(1);
  std::atomic<int> done = 0;
  Workers workers(2);
  const auto wait_for_go = [&] {
    begun.count_down();
    go.wait();
    ++done;
  };
  CHECK(workers.run(wait_for_go));
  CHECK(workers.run(wait_for_go));
  begun.wait();
  CHECK_FALSE(workers.run([&] { ++done; }));
  go.count_down();
  while (!workers.run([&] { ++done; })) std::this_thread::yield();
  while (done != 3) std::this_thread::yield();
}

TEST_CASE("A thread is used again, and what work held is let go when it ends") {
  Workers workers(1);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = held;
  for (int i = 0; i < 20; ++i) {
    while (!workers.run([&, held] {
      const std::scoped_lock lock(mutex);
      threads.insert(std::this_thread::get_id());
    }))
      std::this_thread::yield();
  }
  held.reset();
  while (!watched.expired()) std::this_thread::yield();
  const std::scoped_lock lock(mutex);
  CHECK(threads.size() == 1);
}

TEST_CASE("The end waits for work that was accepted, also for what waits for a thread") {
  std::atomic<int> done = 0;
  {
    Workers workers(8, Milliseconds(1));
    for (int i = 0; i < 200; ++i) {
      while (!workers.run([&] { ++done; })) std::this_thread::yield();
    }
  }
  CHECK(done == 200);
}

}  // namespace rgt
