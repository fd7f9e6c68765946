// SPDX-License-Identifier: MIT
// JSON Schema 2020-12 (the plain subset that our cards use), by valijson. The message names the
// path, what was expected and what came, so that a model can correct itself.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/json.h"

namespace rgt::mcp {

// Immutable after construction: safe from any thread.
class Schema {
 public:
  explicit Schema(const nlohmann::json& schema);  // aborts on a schema that is none: it is ours
  ~Schema();
  Schema(Schema&&) noexcept;
  Schema& operator=(Schema&&) noexcept;

  // Empty if `value` fits; else "cells[1].name: expected string, got number".
  std::optional<std::string> mismatch(const nlohmann::json& value) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace rgt::mcp
