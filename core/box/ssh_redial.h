// SPDX-License-Identifier: MIT
// RedialBook: how soon a box that did not let us in may be dialled again. Platforms ban addresses
// that keep knocking, and every tick of a patrol may be a process of its own; so what failed is
// kept in a small file per address, for all processes of this machine. The wait doubles with each
// failure in a row, up to five minutes, and is spread by chance so that many boxes do not come back
// at once. Safe from several threads and processes. A book that cannot be read or written forbids
// nothing.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace rgt {

class RedialBook {
 public:
  // `chance`: numbers in [0, 1). The clock outlives the book.
  RedialBook(std::filesystem::path folder, const Clock& clock, std::function<double()> chance);

  // The Error has the code of the last failure, and says when the next try is allowed.
  // `address`: what is dialled, "host:port"; `box`: for the message. `mended`: when what decides
  // over the success here (configuration, keys, known hosts) was last changed; a change since the
  // last failure is worth one try at once.
  Result<void> may_dial(const std::string& address, const std::string& box, Time mended = {}) const;

  // Counts only what a box or the way to it did: unreachable, auth_failed, host_key_*.
  void failed(const std::string& address, const Error& why);
  void reached(const std::string& address);  // forgets what was before

 private:
  struct Page;
  std::filesystem::path file_of(const std::string& address) const;
  Page read(const std::string& address, Time now) const;

  const std::filesystem::path folder_;
  const Clock& clock_;
  const std::function<double()> chance_;
};

}  // namespace rgt
