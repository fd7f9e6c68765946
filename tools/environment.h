// SPDX-License-Identifier: MIT
// What tools work with: the real things, made once in server/ and handed in. Outlives every call.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/box/boxes.h"
#include "core/gate/gate.h"
#include "core/handbook/handbook.h"
#include "core/ledger/ledger.h"

namespace rgt {

struct Environment {
  const Clock& clock;
  Boxes& boxes;
  const Handbook& handbook;
  Ledger* ledger = nullptr;  // nullptr when it could not be opened; then ledger_error says why
  Error ledger_error = {};
  std::filesystem::path artifact_root =
      {};  // where pulled artifacts go: <root>/<run>/<cell>/<path>
  PersonPolicy policy = {};
  // This process's environment variables, for `secret_env` values only.
  std::function<std::optional<std::string>(const std::string&)> variable = {};
};

}  // namespace rgt
