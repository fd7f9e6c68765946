// SPDX-License-Identifier: MIT
// Files compiled into the binary (scripts, handbook, tables), so that it works without a checkout.
// Made by rgt_embed() in cmake/Embed.cmake; lives for the whole program.
#pragma once

#include <span>
#include <string_view>

namespace rgt {

struct EmbeddedFile {
  std::string_view path;  // relative to the repository root
  std::string_view text;
  std::string_view modified = {};  // "2026-11-27T09:30:00Z": of the source file at build time
};

// Aborts if the path was not embedded: asking for it is our bug.
std::string_view embedded_text(std::span<const EmbeddedFile> files, std::string_view path);

}  // namespace rgt
