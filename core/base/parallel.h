// SPDX-License-Identifier: MIT
// The same work on several threads at once, the caller's own among them, until all of them are
// done. The work shares out its pieces itself, and must not throw. Fewer threads if no more can be
// had, never none.
#pragma once

#include <cstddef>
#include <functional>

namespace rgt {

// For work that computes: at most so many threads as the machine has cores.
void run_in_parallel(std::size_t threads, const std::function<void()>& work);

// For work that waits, on the network say: so many threads as are asked for.
void wait_in_parallel(std::size_t threads, const std::function<void()>& work);

}  // namespace rgt
