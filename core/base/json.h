// SPDX-License-Identifier: MIT
// Json, and the one place where its code is compiled: without the line below each of some hundred
// files would compile the whole class again.
#pragma once

#include <nlohmann/json.hpp>

extern template class nlohmann::basic_json<>;

namespace rgt {

using Json = nlohmann::json;

}  // namespace rgt
