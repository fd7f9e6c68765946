// SPDX-License-Identifier: MIT
// What a stateless client carries between two rounds of one request (MRTR, specification 2026-07-28
// "Multi Round-Trip Requests"): sealed by us, so that what comes back is what we gave, for this
// very request, and not too old. Readable by the client; it must hold nothing that it may not see.
#pragma once

#include <string>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/result.h"

namespace rgt::mcp {

// Immutable: safe from any thread. The key is random for each object: another process, or the same
// one after a restart, accepts none of the states of this one.
class RequestState {
 public:
  RequestState();

  // `request`: what the state is bound to (method and parameters). Two seals never read the same.
  std::string seal(const nlohmann::json& state, const std::string& request, Time now) const;
  // invalid_argument: not sealed by us, changed, or of another request; timeout: too old.
  Result<nlohmann::json> open(const std::string& sealed, const std::string& request,
                              Time now) const;

  // A person reads a form and types; an approval lives as long (the gate's own limit).
  static constexpr Seconds kLifetime = std::chrono::minutes(15);
  static constexpr std::size_t kSizeLimit = 1u << 20;  // bytes of a state that is looked at

 private:
  std::string mac(const std::string& text) const;
  std::string key_;
};

}  // namespace rgt::mcp
