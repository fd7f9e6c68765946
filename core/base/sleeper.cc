// SPDX-License-Identifier: MIT
#include "core/base/sleeper.h"

#include <condition_variable>
#include <mutex>

namespace rgt {

bool SystemSleeper::sleep(Milliseconds duration, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace rgt
