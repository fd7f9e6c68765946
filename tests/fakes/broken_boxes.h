// SPDX-License-Identifier: MIT
// Boxes that can be cut off: passes everything on to the real ones until told to fail, and records
// how often a box was spoken to.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/box/boxes.h"

namespace rgt {

class BreakableBoxes final : public Boxes {
 public:
  explicit BreakableBoxes(Boxes& real) : real_(real) {}

  void fail_with(Error error) {
    const std::scoped_lock lock(mutex_);
    failure_ = std::move(error);
  }
  void heal() {
    const std::scoped_lock lock(mutex_);
    failure_.reset();
  }
  int script_calls() const { return calls_; }

  Result<std::shared_ptr<Shell>> shell(const std::string& box) override {
    auto real = real_.shell(box);
    if (!real) return real.error();
    return std::shared_ptr<Shell>(std::make_shared<Wrapped>(*this, *real));
  }
  Result<std::shared_ptr<Transfer>> transfer(const std::string& box) override {
    if (auto failure = current()) return *failure;
    return real_.transfer(box);
  }

 private:
  struct Wrapped final : Shell {
    Wrapped(BreakableBoxes& owner, std::shared_ptr<Shell> real)
        : owner_(owner), real_(std::move(real)) {}
    Result<ScriptOutcome> run(const ScriptCall& call, std::stop_token stop) override {
      ++owner_.calls_;
      if (auto failure = owner_.current()) return *failure;
      return real_->run(call, stop);
    }
    std::string host_key() const override { return real_->host_key(); }
    BreakableBoxes& owner_;
    std::shared_ptr<Shell> real_;
  };

  std::optional<Error> current() {
    const std::scoped_lock lock(mutex_);
    return failure_;
  }

  Boxes& real_;
  std::mutex mutex_ = {};
  std::optional<Error> failure_ = {};
  std::atomic<int> calls_ = 0;
};

}  // namespace rgt
