// SPDX-License-Identifier: MIT
// SHA-256, of bytes and of files, and random handles.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace rgt {

// Streaming SHA-256. One object per thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(const void* data, std::size_t size);
  std::string finish();  // 64 lower-case hex digits; the object must not be used after

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);

// Streams the file (constant memory); checks `stop` at least every 4 MiB.
Result<std::string> sha256_file(const std::filesystem::path& path, std::stop_token stop);

// `bytes` random bytes from the operating system as lower-case hex; for handles and tokens.
std::string random_hex(std::size_t bytes);

bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace rgt
