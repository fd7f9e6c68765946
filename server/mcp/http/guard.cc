// SPDX-License-Identifier: MIT
#include "server/mcp/http/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <utility>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace rgt::mcp {
namespace {

std::string without_brackets(std::string host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    return host.substr(1, host.size() - 2);
  return host;
}

bool is_ip_literal(const std::string& host) {
  in6_addr bytes{};
  return ::inet_pton(AF_INET, host.c_str(), &bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

bool is_any_address(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

struct HostPort {
  std::string host = {};  // lower case, without brackets
  int port = 0;           // 0: none was given
};

std::optional<HostPort> split_host(const std::string& text) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.rfind(':');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  HostPort parts{without_brackets(to_lower(text.substr(0, has_port ? colon : text.size()))), 0};
  if (has_port) {
    const auto port = parse_uint(text.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return std::nullopt;
    parts.port = static_cast<int>(*port);
  }
  if (parts.host.empty()) return std::nullopt;
  return parts;
}

}  // namespace

bool is_loopback(const std::string& address) {
  const bool is_127 = address.starts_with("127.") && is_ip_literal(address);  // not "127.evil.net"
  return address == "localhost" || address == "::1" || is_127;
}

Result<Guard> Guard::make(GuardOptions options) {
  options.address = without_brackets(options.address);
  for (std::string& host : options.hosts) host = without_brackets(to_lower(host));
  if (!options.token.empty() && options.token.size() < kShortestToken) {
    return Error{Code::invalid_argument, "the bearer token is shorter than 16 characters",
                 "make one with: openssl rand -hex 32"};
  }
  if (!is_loopback(options.address) && options.token.empty()) {
    return Error{Code::invalid_argument,
                 "refusing to serve on " + options.address +
                     " without a token: anyone who reaches it could launch jobs",
                 "put a token into a file (openssl rand -hex 32) and give --token-file FILE, or "
                 "serve on 127.0.0.1 and reach it through ssh -L"};
  }
  return Guard(std::move(options));
}

bool Guard::is_our_name(const std::string& host) const {
  if (is_loopback(host) || host == to_lower(options_.address)) return true;
  // A name can be pointed at us by its owner; an address cannot.
  if (is_any_address(options_.address) && is_ip_literal(host)) return true;
  return std::find(options_.hosts.begin(), options_.hosts.end(), host) != options_.hosts.end();
}

std::optional<Guard::Refusal> Guard::check_caller(const std::string& host,
                                                  const std::optional<std::string>& origin) const {
  const auto called = split_host(host);
  if (!called || !is_our_name(called->host)) {
    return Refusal{403, "Host \"" + clean_line(host, 80) +
                            "\" is no name of this server; allow it with --allow-host"};
  }
  if (!origin) return std::nullopt;
  const auto& allowed = options_.origins;
  if (std::find(allowed.begin(), allowed.end(), *origin) != allowed.end()) return std::nullopt;
  const std::size_t scheme = origin->find("://");
  const auto page =
      scheme == std::string::npos ? std::nullopt : split_host(origin->substr(scheme + 3));
  // Our own pages, and nobody else's: another port on this machine is another program.
  if (page && is_our_name(page->host) && page->port == options_.port) return std::nullopt;
  return Refusal{403, "Origin \"" + clean_line(*origin, 80) +
                          "\" may not call this server; allow it with --allow-origin"};
}

std::optional<Guard::Refusal> Guard::check_token(const std::string& authorization) const {
  if (options_.token.empty()) return std::nullopt;
  constexpr std::string_view kScheme = "bearer ";
  const bool is_bearer =
      to_lower(std::string_view(authorization).substr(0, kScheme.size())) == kScheme;
  // Digests are compared, so that time tells nothing of the length either.
  const std::string given = is_bearer ? authorization.substr(kScheme.size()) : "";
  if (is_bearer && equal_constant_time(sha256_hex(given), sha256_hex(options_.token)))
    return std::nullopt;
  return Refusal{401, "a bearer token is needed: Authorization: Bearer <token>"};
}

}  // namespace rgt::mcp
