// SPDX-License-Identifier: MIT
// The real things, made once from the process's environment and handed to the tools.
#pragma once

#include <filesystem>
#include <memory>

#include "core/base/process.h"
#include "core/base/result.h"
#include "tools/environment.h"

namespace rgt {

class World {
 public:
  // Fails only where nothing can work: a handbook that does not load, no place for state. A ledger
  // that cannot be opened is kept as environment().ledger_error, so that audit and lookup still
  // work.
  // `serving`: more than one call will come, so connections to boxes are kept warm between them.
  static Result<std::unique_ptr<World>> make(bool serving);

  Environment& environment() { return *environment_; }
  const std::filesystem::path& state() const { return state_; }

 private:
  World() = default;
  std::filesystem::path state_ = {};
  SystemClock clock_ = {};
  SystemProcessRunner processes_ = {};
  std::unique_ptr<Boxes> boxes_ = {};
  std::unique_ptr<Handbook> handbook_ = {};
  std::unique_ptr<Ledger> ledger_ = {};
  std::unique_ptr<Environment> environment_ = {};
};

}  // namespace rgt
