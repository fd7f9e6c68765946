// SPDX-License-Identifier: MIT
#include "server/mcp/http/guard.h"

#include <catch2/catch.hpp>

namespace rgt::mcp {
namespace {

Guard guard(GuardOptions options = {}) {
  if (options.port == 0) options.port = 8722;
  auto made = Guard::make(std::move(options));
  REQUIRE(made.ok());
  return std::move(made).value();
}

const std::string kToken = "0123456789abcdef0123456789abcdef";

}  // namespace

TEST_CASE("Only our own names are let in as Host") {
  const Guard local = guard();
  for (const char* host :
       {"127.0.0.1:8722", "localhost:8722", "LOCALHOST", "[::1]:8722", "127.0.0.1"})
    CHECK_FALSE(local.check_caller(host, {}));
  for (const char* host : {"", "evil.example", "evil.example:8722", "127.0.0.1.evil.example",
                           "localhost.evil.example", "10.0.0.1:8722", "127.0.0.1:0",
                           "127.0.0.1:99999", "127.0.0.1:x", ":8722", "[::1", "[]:1"}) {
    INFO(host);
    CHECK(local.check_caller(host, {}));
  }
}

TEST_CASE("A foreign page is refused although it calls us by our name") {
  const Guard local = guard();
  const std::string host = "127.0.0.1:8722";
  for (const char* origin :
       {"http://localhost:8722", "http://127.0.0.1:8722", "https://[::1]:8722"})
    CHECK_FALSE(local.check_caller(host, origin));
  for (const char* origin :
       {"http://evil.example", "http://evil.example:8722", "http://localhost:3000", "null", "",
        "http://localhost", "http://localhost:8722.evil.example", "localhost:8722"}) {
    INFO(origin);
    CHECK(local.check_caller(host, origin));
  }
  GuardOptions options;
  options.hosts = {"Box.lan"};
  options.origins = {"https://app.example"};
  const Guard wider = guard(options);
  CHECK_FALSE(wider.check_caller("box.LAN:8722", "https://app.example"));
  CHECK(wider.check_caller("box.lan", "https://app.example.evil"));
}

TEST_CASE("Beyond this machine nothing starts without a token") {
  GuardOptions options;
  for (const char* address : {"0.0.0.0", "::", "192.168.1.4", "[fe80::1]"}) {
    options.address = address;
    options.token.clear();
    CHECK(Guard::make(options).error().code == Code::invalid_argument);
    options.token = kToken;
    CHECK(Guard::make(options).ok());
  }
  options.token = "short";
  CHECK(Guard::make(options).error().message.find("16 characters") != std::string::npos);
}

TEST_CASE("Bound to every address, we are called by addresses and by names that were allowed") {
  GuardOptions options;
  options.address = "0.0.0.0";
  options.token = kToken;
  const Guard open = guard(options);
  CHECK_FALSE(open.check_caller("192.168.1.4:8722", {}));
  CHECK(open.check_caller("rebound.example:8722", {}));
}

TEST_CASE("Only the token itself opens") {
  GuardOptions options;
  options.token = kToken;
  const Guard closed = guard(options);
  CHECK_FALSE(closed.check_token("Bearer " + kToken));
  CHECK_FALSE(closed.check_token("bearer " + kToken));
  for (const std::string& wrong :
       {std::string(), kToken, std::string("Bearer"), std::string("Bearer "),
        "Bearer " + kToken + "x", "Bearer " + kToken.substr(1), "Basic " + kToken,
        "Bearer  " + kToken})
    CHECK(closed.check_token(wrong)->status == 401);
  CHECK_FALSE(guard().check_token(""));
}

}  // namespace rgt::mcp
