// SPDX-License-Identifier: MIT
#include "core/base/parallel.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

namespace rgt {

void run_in_parallel(std::size_t threads, const std::function<void()>& work) {
  wait_in_parallel(
      std::min<std::size_t>(threads, std::max(1u, std::thread::hardware_concurrency())), work);
}

void wait_in_parallel(std::size_t threads, const std::function<void()>& work) {
  std::vector<std::jthread> others;
  try {
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
  } catch (const std::system_error&) {
    // A limit on threads: slower, not worse.
  }
  work();
}

}  // namespace rgt
