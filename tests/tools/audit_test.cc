// SPDX-License-Identifier: MIT
// The audit as a whole, on this machine.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/tools/workbench.h"

namespace rgt {
namespace {

Json check_named(const ToolResult& result, const std::string& id) {
  for (const Json& check : result.structured["checks"]) {
    if (check["id"] == id) return check;
  }
  FAIL("no check " << id << " in " << result.text);
  return {};
}

struct Variable {  // of the environment, for as long as this lives
  explicit Variable(const char* name) : name_(name) { setenv(name, "secret-value", 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  const char* name_;
};

}  // namespace

TEST_CASE("A rented pod audited as a plain machine is told to be one, without its values") {
  const Variable pod("RUNPOD_POD_ID"), center("RUNPOD_DC_ID");
  Workbench bench;
  for (const char* profile : {"local", "generic-ssh"}) {
    const ToolResult result = bench.call("audit", {{"box", "local"}, {"profile", profile}});
    const Json check = check_named(result, "platform");
    CHECK(check["verdict"] == "warn");
    CHECK(check["measured"] == "runpod: env RUNPOD_POD_ID, env RUNPOD_DC_ID");
    CHECK(result.text.find("secret-value") == std::string::npos);
    CHECK(result.structured["verdict"] != "pass");
  }
}

TEST_CASE("An audit holds each check to its shape, and its text is short") {
  Workbench bench;
  const ToolResult result = bench.call("audit", {{"box", "local"}, {"python", "python3"}});
  for (const Json& check : result.structured["checks"]) {
    INFO(check.dump());
    CHECK(check.contains("id"));
    CHECK(check.contains("limit"));
    CHECK(check.contains("measured"));
    const bool bad = check["verdict"] == "warn" || check["verdict"] == "fail";
    CHECK(check.contains("fix") == bad);
  }
  check_named(result, "torch");
  check_named(result, "hogs");
  CHECK(result.text.size() <= 4096);
}

TEST_CASE("A clock that is off by more than the call took is told, a slow call alone is not") {
  Workbench bench;
  CHECK(check_named(bench.call("audit", {{"box", "local"}}), "clock_skew")["verdict"] == "pass");
  bench.clock().offset = std::chrono::minutes(-10);  // the box is ahead of us
  CHECK(check_named(bench.call("audit", {{"box", "local"}}), "clock_skew")["verdict"] == "fail");
  bench.clock().offset = std::chrono::seconds(20);  // the box is behind
  const Json behind = check_named(bench.call("audit", {{"box", "local"}}), "clock_skew");
  CHECK(behind["verdict"] == "warn");
}

}  // namespace rgt
