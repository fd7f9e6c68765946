// SPDX-License-Identifier: MIT
// MCP over one pair of pipes: one client, both eras mixed message by message. One thread reads and
// answers at once what needs no work; the rest runs on threads of its own, so that a ping is
// answered while a pull takes an hour.
#pragma once

#include <atomic>
#include <string>

#include "server/mcp/service.h"
#include "server/mcp/session.h"
#include "server/mcp/transport.h"

namespace rgt::mcp {

class StdioServer {
 public:
  // Borrowed; both outlive this.
  StdioServer(Service& service, Transport& transport);

  // Until the client closes or is gone. Calls that still run then get a moment to answer, and are
  // stopped and waited for.
  void serve();

 private:
  void on_message(const std::string& text);
  void on_request(Request request);
  void on_notification(const Notification& notification);
  void answer(const Request& request, const Peer& peer, std::stop_token stop,
              const std::string& key);
  void send(const std::string& message);

  Service& service_;
  Transport& transport_;
  std::atomic<bool> gone_ = false;
  Session session_;
};

}  // namespace rgt::mcp
