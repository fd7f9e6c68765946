// SPDX-License-Identifier: MIT
// Markdown documents cut into addressable sections. Pure.
#pragma once

#include <vector>

#include "core/base/result.h"
#include "core/handbook/handbook.h"

namespace rgt {

inline constexpr std::string_view kHandbookUri = "rgt://handbook/";

// An entry is `### ID — title` (ID: letters then digits, or letters-letters); other `##` and `###`
// headings are sections with a slug. A section ends where a heading of its own level or above
// begins.
std::vector<Section> sections_of(const Document& document);

// The first sentence behind "**Fix:**", cleaned; empty if there is none.
std::string fix_of(std::string_view section_text);

// Every *.md of the tree that the handbook is made of (skill/, profiles/, references/): paths
// relative to `root`, at most 512 files of 1 MiB; symbolic links are not followed.
Result<std::vector<Document>> documents_below(const std::filesystem::path& root);
Document make_document(std::string path, std::string text);

}  // namespace rgt
