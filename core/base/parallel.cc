// SPDX-License-Identifier: MIT
#include "core/base/parallel.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

namespace rgt {

void run_in_parallel(std::size_t threads, const std::function<void()>& work) {
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::jthread> others;
  try {
    for (std::size_t i = 1; i < std::min(threads, cores); ++i) others.emplace_back(work);
  } catch (const std::system_error&) {
    // A limit on threads: slower, not worse.
  }
  work();
}

}  // namespace rgt
