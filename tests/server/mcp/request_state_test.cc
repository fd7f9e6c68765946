// SPDX-License-Identifier: MIT
#include "server/mcp/request_state.h"

#include <catch2/catch.hpp>

namespace rgt::mcp {

TEST_CASE("A state is read back for its request and its time only") {
  const RequestState seal;
  const Time now = from_unix(1'790'000'000);
  const nlohmann::json state{{"answers", {{"a", 1}}}};
  const std::string sealed = seal.seal(state, "tools/call x", now);
  CHECK(seal.open(sealed, "tools/call x", now).value() == state);
  CHECK(seal.open(sealed, "tools/call x", now + RequestState::kLifetime).ok());
  CHECK(
      seal.open(sealed, "tools/call x", now + RequestState::kLifetime + Seconds(1)).error().code ==
      Code::timeout);
  CHECK(seal.open(sealed, "tools/call y", now).error().code == Code::invalid_argument);
  CHECK(RequestState().open(sealed, "tools/call x", now).error().code == Code::invalid_argument);
  CHECK(seal.seal(state, "tools/call x", now) != sealed);
}

TEST_CASE("No changed byte of a state is overlooked") {
  const RequestState seal;
  const Time now = from_unix(1'790'000'000);
  const std::string sealed = seal.seal({{"k", "v"}}, "r", now);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    CHECK_FALSE(seal.open(changed, "r", now).ok());
    CHECK_FALSE(seal.open(sealed.substr(0, i), "r", now).ok());
  }
}

}  // namespace rgt::mcp
