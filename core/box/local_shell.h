// SPDX-License-Identifier: MIT
// LocalShell: this machine as a box. Same bootstrap and same stdin as over SSH, so that what works
// here works there.
#pragma once

#include <mutex>

#include "core/base/process.h"
#include "core/box/shell.h"

namespace rgt {

class LocalShell final : public Shell {
 public:
  explicit LocalShell(ProcessRunner& processes) : processes_(processes) {}  // not owned
  Result<ScriptOutcome> run(const ScriptCall& call, std::stop_token stop) override;
  std::string host_key() const override { return "local"; }

 private:
  ProcessRunner& processes_;
};

}  // namespace rgt
