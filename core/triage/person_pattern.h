// SPDX-License-Identifier: MIT
// A regular expression that a person typed (RE2: linear time), compiled within a bound of memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace re2 {
class RE2;
}

namespace rgt {

// `what` it is for ("marker") and `hint`, an example, are for the message. Code::invalid_argument
// says what is wrong: empty, over 500 bytes, no RE2, too large once compiled (x{1000}{1000}).
Result<std::unique_ptr<re2::RE2>> compile_person_pattern(std::string_view pattern,
                                                         const std::string& what,
                                                         const std::string& hint);

}  // namespace rgt
