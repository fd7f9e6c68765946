// SPDX-License-Identifier: MIT
#include "server/mcp/http/headers.h"

#include <map>

#include <catch2/catch.hpp>

namespace rgt::mcp {
namespace {

HeaderOf headers(std::map<std::string, std::string> all) {
  return [all](const std::string& name) -> std::optional<std::string> {
    const auto found = all.find(name);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  };
}

}  // namespace

TEST_CASE("Mcp-Method and Mcp-Name say what the body says") {
  const Request call{1, "tools/call", {{"name", "über"}}};
  const std::string encoded = "=?base64?w7xiZXI=?=";
  CHECK_FALSE(
      check_routing_headers(call, headers({{"Mcp-Method", "tools/call"}, {"Mcp-Name", "über"}})));
  CHECK_FALSE(
      check_routing_headers(call, headers({{"Mcp-Method", "tools/call"}, {"Mcp-Name", encoded}})));
  CHECK_FALSE(
      check_routing_headers({1, "tools/list", {}}, headers({{"Mcp-Method", "tools/list"}})));
  const auto wrong = [&](std::map<std::string, std::string> all) {
    const auto error = check_routing_headers(call, headers(std::move(all)));
    return error && error->code == kHeaderMismatch;
  };
  CHECK(wrong({}));
  CHECK(wrong({{"Mcp-Method", "tools/call"}}));
  CHECK(wrong({{"Mcp-Method", "TOOLS/CALL"}, {"Mcp-Name", "über"}}));
  CHECK(wrong({{"Mcp-Method", "tools/call"}, {"Mcp-Name", "other"}}));
  CHECK(wrong({{"Mcp-Method", "tools/call"}, {"Mcp-Name", "=?base64?w7xiZXI?="}}));
  CHECK(wrong({{"Mcp-Method", "tools/call"}, {"Mcp-Name", "=?base64?!!!!?="}}));
  CHECK(wrong({{"Mcp-Method", "tools/call"}, {"Mcp-Name", "=?base64?//4=?="}}));  // no UTF-8
}

TEST_CASE("A value without both marks is what it looks like") {
  CHECK(decode_header("=?base64?YQ==") == "=?base64?YQ==");
  CHECK(decode_header("YQ==?=") == "YQ==?=");
  CHECK(decode_header("=?base64?YQ==?=") == "a");
  CHECK(decode_header("=?base64?"
                      "?=") == "");
  CHECK(decode_header("=?BASE64?YQ==?=") == "=?BASE64?YQ==?=");
}

TEST_CASE("Mcp-Param headers agree with the arguments, at any depth") {
  const Json schema = Json::parse(R"({"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},
    "deep":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"},
      "dry":{"type":"boolean","x-mcp-header":"Dry"}}}}})");
  const Json arguments{{"region", "eu"}, {"deep", {{"count", 5}, {"dry", true}}}};
  using Map = std::map<std::string, std::string>;
  const Map right{{"Mcp-Param-Region", "eu"}, {"Mcp-Param-Count", "5"}, {"Mcp-Param-Dry", "true"}};
  CHECK_FALSE(check_param_headers(arguments, schema, headers(right)));
  CHECK_FALSE(check_param_headers(Json::object(), schema, headers({})));
  CHECK_FALSE(check_param_headers({{"region", nullptr}}, schema, headers({})));
  const auto wrong = [&](const std::string& name, const char* value) {
    Map all = right;
    if (value == nullptr)
      all.erase(name);
    else
      all[name] = value;
    return check_param_headers(arguments, schema, headers(all)).has_value();
  };
  CHECK_FALSE(wrong("Mcp-Param-Count", "5.0"));
  CHECK(wrong("Mcp-Param-Region", "us"));
  CHECK(wrong("Mcp-Param-Region", nullptr));
  CHECK(wrong("Mcp-Param-Count", "6"));
  CHECK(wrong("Mcp-Param-Count", "five"));
  CHECK(wrong("Mcp-Param-Dry", "false"));
  CHECK(check_param_headers(Json::object(), schema, headers({{"Mcp-Param-Region", "eu"}})));
}

}  // namespace rgt::mcp
