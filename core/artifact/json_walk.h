// SPDX-License-Identifier: MIT
// Walks a JSON text and hands out its scalars, in order, with where each is. Builds nothing, so
// memory stays bounded whatever the text holds. For the small files that describe a folder.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace rgt {

struct JsonScalar {
  enum class Kind { null, boolean, integer, real, text } kind = Kind::null;
  std::int64_t integer = 0;  // integer (saturated), boolean
  double real = 0;           // integer too, as near as it gets
  std::string_view text = {};
  bool in_list = false;  // its last key is its place in a list
  bool is_number() const { return kind == Kind::integer || kind == Kind::real; }
};

// The keys that lead to a value; an element of a list is its index.
using JsonPath = std::vector<std::string>;
using TakeScalar = std::function<void(const JsonPath& path, const JsonScalar& value)>;

// Code::corrupt if it is no whole JSON text, has a key twice in one object, or is deeper than any
// such file. Python's NaN and Infinity come as null, as in metrics.
Result<void> walk_json(std::string_view text, const TakeScalar& take);

}  // namespace rgt
