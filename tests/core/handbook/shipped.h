// SPDX-License-Identifier: MIT
// The handbook under test: the built-in one, or, for evals/mutate.py, that of a changed copy of the
// repository (RGT_TEST_ROOT).
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>

#include <catch2/catch.hpp>

#include "core/handbook/handbook.h"

namespace rgt {

inline std::filesystem::path shipped_root() {
  const char* root = std::getenv("RGT_TEST_ROOT");
  return root == nullptr ? RGT_SOURCE_DIR : root;
}

inline std::unique_ptr<Handbook> shipped_handbook() {
  auto loaded = Handbook::load(std::getenv("RGT_TEST_ROOT") == nullptr ? "" : shipped_root());
  INFO((loaded.ok() ? "" : loaded.error().message));
  REQUIRE(loaded.ok());
  return std::move(*loaded);
}

}  // namespace rgt
