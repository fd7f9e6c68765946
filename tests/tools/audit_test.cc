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

TEST_CASE(
    "A platform's mount that is missing is not to be created by hand, and only data is needed") {
  Workbench bench;
  const ToolResult result = bench.call(
      "audit", {{"box", "local"}, {"profile", "autodl"}, {"paths", {"/no/such/folder"}}});
  const Json durable = check_named(result, "disk:/root/autodl-fs");
  CHECK(durable["verdict"] == "warn");
  CHECK(durable["measured"] == "AutoDL has not mounted it on this box");
  CHECK(durable["fix"].get<std::string>().starts_with("do not create the folder"));
  const Json data = check_named(result, "disk:/root/autodl-tmp");
  CHECK(data["verdict"] == "fail");
  CHECK(data["fix"].get<std::string>().find("do not create the folder") == 0);
  // A folder that the caller named is the caller's to name right.
  CHECK(check_named(result, "disk:/no/such/folder")["fix"] == "name the real folder");
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
