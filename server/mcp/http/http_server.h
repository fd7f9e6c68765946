// SPDX-License-Identifier: MIT
// HttpServer: Streamable HTTP at /mcp and a health check at /healthz, on cpp-httplib. Bound to this
// machine unless a token is set; see Guard.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "core/base/result.h"
#include "server/mcp/http/connection.h"
#include "server/mcp/http/endpoint.h"
#include "server/mcp/http/guard.h"
#include "server/mcp/service.h"

namespace rgt::mcp {

struct HttpOptions {
  GuardOptions guard = {};  // address and port (0: any free one) are where we bind
  ConnectionLimits connection = {};
  EndpointLimits endpoint = {};
  // Each holds a thread while its client sends, waits or listens.
  std::size_t connections = 512;
};

class HttpServer {
 public:
  // Binds; `service` is borrowed. invalid_argument: see Guard; io: the address cannot be bound.
  static Result<std::unique_ptr<HttpServer>> bind(Service& service, HttpOptions options);
  ~HttpServer();

  int port() const;
  // Until `stop`: then running calls get a moment to answer and are stopped, and every client is
  // told good-bye.
  void serve(std::stop_token stop);
  // One connection's worth of HTTP from any stream; for tests of the message path.
  bool process(httplib::Stream& stream);

 private:
  class Listener;
  explicit HttpServer(std::unique_ptr<Listener> listener);
  std::unique_ptr<Listener> listener_;
};

}  // namespace rgt::mcp
