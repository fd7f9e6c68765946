// SPDX-License-Identifier: MIT
// The YAML between the first line "---" and the next one of a Markdown file: of a profile, or of a
// skill. Foreign bytes: bounded, valid UTF-8, shallow, no anchors or aliases. Fuzzed.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/base/result.h"

namespace rgt {

// Checked, not parsed. `name` is for the error.
Result<std::string> frontmatter_text(std::string_view name, std::string_view markdown);

// As JSON, by the core schema of YAML 1.2: what is quoted is text; true, false, null and numbers
// are themselves.
Result<nlohmann::json> frontmatter_json(std::string_view name, std::string_view markdown);

}  // namespace rgt
