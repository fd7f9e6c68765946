// SPDX-License-Identifier: MIT
// Any bytes as the list of a bundle: refused, or a list that cannot lead out of its folder and that
// is the same when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/bundle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bundle =
      rgt::parse_bundle(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!bundle) return 0;
  for (const rgt::BundleFile& file : bundle->files) {
    rgt::require(!file.path.empty() && file.path[0] != '/', "a path from the root");
    rgt::require(("/" + file.path + "/").find("/../") == std::string::npos,
                 "a path that leads out");
  }
  const auto again = rgt::parse_bundle(rgt::bundle_text(*bundle));
  rgt::require(again.ok() && again->files.size() == bundle->files.size(), "not the same again");
  return 0;
}
