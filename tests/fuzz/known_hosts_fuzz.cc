// SPDX-License-Identifier: MIT
// Any bytes as a known_hosts file, and as the answer of `ssh -G`. The first line is the name asked
// for.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/result.h"
#include "core/box/known_hosts.h"
#include "core/box/ssh_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = text.find('\n');
  if (end == text.npos) return 0;
  const auto keys = rgt::known_keys(text.substr(end + 1), text.substr(0, end));
  const auto verdict = rgt::judge_host_key(keys, "a key that nobody has");
  rgt::require(verdict == rgt::HostKeyVerdict::unknown || verdict == rgt::HostKeyVerdict::changed,
               "a key that stands nowhere was trusted or revoked");
  (void)rgt::parse_ssh_target("alias", text);
  return 0;
}
