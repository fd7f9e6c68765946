// SPDX-License-Identifier: MIT
// Guard: which HTTP requests are let in at all. A web page that a person visits can send requests
// to a server on their machine; its Origin gives it away, and where DNS was rebound its Host does
// (specification 2025-11-25, "Transports", Security Warning).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace rgt::mcp {

struct GuardOptions {
  std::string address = "127.0.0.1";  // that the server is bound to: an IP literal
  int port = 0;
  std::vector<std::string> hosts = {};    // other names that clients may call us by: "box.lan"
  std::vector<std::string> origins = {};  // web pages that may call: "https://app.example:8443"
  std::string token = {};                 // bearer token; "" for none
};

// Whether an address reaches only this machine.
bool is_loopback(const std::string& address);

// Immutable: safe from any thread.
class Guard {
 public:
  // invalid_argument: an address beyond this machine without a token, or a token too short to hold.
  static Result<Guard> make(GuardOptions options);

  struct Refusal {
    int status = 403;
    std::string message = {};
  };
  // `host`, `origin`, `authorization`: the headers, empty if absent.
  std::optional<Refusal> check_caller(const std::string& host,
                                      const std::optional<std::string>& origin) const;
  std::optional<Refusal> check_token(const std::string& authorization) const;

  static constexpr std::size_t kShortestToken = 16;  // characters

 private:
  explicit Guard(GuardOptions options) : options_(std::move(options)) {}
  bool is_our_name(const std::string& host) const;

  GuardOptions options_;
};

}  // namespace rgt::mcp
