// SPDX-License-Identifier: MIT
// run_in_parallel: the same work on several threads at once, the caller's own among them, until all
// of them are done. The work shares out its pieces itself.
#pragma once

#include <cstddef>
#include <functional>

namespace rgt {

// `threads`: at most so many, bounded by the machine's cores; fewer if no more can be had, never
// none. `work` must not throw.
void run_in_parallel(std::size_t threads, const std::function<void()>& work);

}  // namespace rgt
