// SPDX-License-Identifier: MIT
#include "core/base/embedded.h"

#include "core/base/result.h"

namespace rgt {

std::string_view embedded_text(std::span<const EmbeddedFile> files, std::string_view path) {
  for (const EmbeddedFile& file : files) {
    if (file.path == path) return file.text;
  }
  require(false, "a file was asked for that is not embedded");
  return {};
}

}  // namespace rgt
