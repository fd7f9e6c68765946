// SPDX-License-Identifier: MIT
#include "server/mcp/jsonrpc.h"

#include <random>

#include <catch2/catch.hpp>

namespace rgt::mcp {
namespace {

int code_of(std::string_view text) {
  const auto parsed = parse_message(text);
  const auto* malformed = std::get_if<Malformed>(&parsed);
  return malformed == nullptr ? 0 : malformed->error.code;
}

}  // namespace

TEST_CASE("Requests, notifications and responses are told apart") {
  const auto request = parse_message(R"({"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}})");
  CHECK(std::get<Request>(std::get<Message>(request)).id == "a");
  const auto note = parse_message(R"({"jsonrpc":"2.0","method":"m"})");
  CHECK(std::get<Notification>(std::get<Message>(note)).params.empty());
  const auto answer =
      parse_message(R"({"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"no"}})");
  CHECK(std::get<RpcError>(std::get<Response>(std::get<Message>(answer)).outcome).code == -1);
}

TEST_CASE(
    "What is no message is refused with the code of JSON-RPC, and without an id that was not "
    "read") {
  for (const char* text :
       {"", "{", "nonsense", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"", "\"\xff\""})
    CHECK(code_of(text) == kParseError);
  for (const char* text :
       {"[]", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}]", "1", "null", "{}",
        R"({"jsonrpc":"1.0","id":1,"method":"m"})", R"({"jsonrpc":"2.0","id":null,"method":"m"})",
        R"({"jsonrpc":"2.0","id":1.5,"method":"m"})", R"({"jsonrpc":"2.0","id":1,"method":7})",
        R"({"jsonrpc":"2.0","id":1,"method":"m","params":[1]})"}) {
    CHECK(code_of(text) == kInvalidRequest);
  }
  CHECK(write_error({}, {kParseError, "x", nullptr}).find("\"id\"") == std::string::npos);
  const auto known =
      std::get<Malformed>(parse_message(R"({"jsonrpc":"2.0","id":9,"method":"m","params":3})"));
  CHECK(known.id == Json(9));
}

TEST_CASE("A hundred thousand brackets cost nothing") {
  CHECK(code_of(std::string(100000, '[')) == kParseError);
  CHECK(code_of("{\"a\":" + std::string(100000, '[')) == kParseError);
  CHECK(code_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" + std::string(100000, '[') + "\"}") ==
        0);  // in a string
}

TEST_CASE("Random damage to a message never does worse than an error") {
  const std::string whole =
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"probe","arguments":{"run":"r"}}})";
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    std::string text = whole.substr(0, random() % (whole.size() + 1));
    for (int flips = static_cast<int>(random() % 4); flips > 0 && !text.empty(); --flips)
      text[random() % text.size()] = static_cast<char>(random());
    (void)parse_message(text);
  }
}

}  // namespace rgt::mcp
