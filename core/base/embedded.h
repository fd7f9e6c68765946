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
};

// Aborts if the path was not embedded: asking for it is our bug.
std::string_view embedded_text(std::span<const EmbeddedFile> files, std::string_view path);

}  // namespace rgt
