// SPDX-License-Identifier: MIT
#include "server/mcp/schema.h"

#include <catch2/catch.hpp>

namespace rgt::mcp {

TEST_CASE("A mismatch names the path, what was expected and what came") {
  const Schema schema(nlohmann::json::parse(
      R"({"type":"object","additionalProperties":false,"required":["run"],"properties":{
    "run":{"type":"string","minLength":1},"count":{"type":"integer","minimum":1,"maximum":9},"kind":{"enum":["a","b"]},
    "cells":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}},"additionalProperties":false}}}})"));
  const auto why = [&](const char* text) {
    return schema.mismatch(nlohmann::json::parse(text)).value_or("");
  };
  CHECK(why(R"({"run":"x","count":3,"kind":"a","cells":[{"name":"c"}]})").empty());
  CHECK(why(R"({"run":7})") == "run: expected string, got 7");
  CHECK(why(R"({})").find("run is missing") != std::string::npos);
  CHECK(why(R"({"run":"x","cuont":1})").find("did you mean count?") != std::string::npos);
  CHECK(why(R"({"run":"x","count":10})") == "count: expected a number from 1 to 9, got 10");
  CHECK(why(R"({"run":"x","kind":"c"})") == "kind: expected one of a, b, got \"c\"");
  CHECK(why(R"({"run":"x","cells":[{"name":"c"},{"name":null}]})") ==
        "cells[1].name: expected string, got null");
  CHECK(why(R"({"run":""})").find("run: expected text of 1") != std::string::npos);
  CHECK_FALSE(why(R"([1,2])").empty());
}

}  // namespace rgt::mcp
