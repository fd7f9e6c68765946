// SPDX-License-Identifier: MIT
// Writes every message of a test's conversation to a file in $RGT_WIRE_LOG (nothing without it),
// where tests/clients/wire_log.test.mjs holds both directions against the official schemas.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>

#include "server/mcp/jsonrpc.h"

namespace rgt::mcp {

// One conversation; safe from several threads.
class WireLog {
 public:
  WireLog() {
    static std::atomic<int> next = 1;
    const char* folder = std::getenv("RGT_WIRE_LOG");
    if (folder == nullptr) return;
    file_.open(std::string(folder) + "/" + std::to_string(::getpid()) + "-" +
               std::to_string(next++) + ".jsonl");
  }
  void client(std::string_view text) { write("client", text); }
  void server(std::string_view text) { write("server", text); }

  // What one side of an HTTP connection said: its JSON bodies and events. Each is one line, and
  // the next message may follow a body at once.
  void bytes(const char* from, std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t end = std::min(bytes.find('\n'), bytes.size());
      std::string_view line = bytes.substr(0, end);
      bytes.remove_prefix(std::min(end + 1, bytes.size()));
      if (line.starts_with("data: ")) line.remove_prefix(6);
      for (const char* next : {"HTTP/1.1 ", "POST /mcp", "GET /mcp"})
        line = line.substr(0, line.find(next));
      if (line.starts_with("{\"")) write(from, line);
    }
  }

 private:
  void write(const char* from, std::string_view text) {
    const Json message = Json::parse(text, nullptr, false);
    // What is no message is a test's own, or the health check's.
    if (!file_.is_open() || !message.is_object() || !message.contains("jsonrpc")) return;
    const std::scoped_lock lock(mutex_);
    file_ << Json{{"from", from}, {"message", message}}.dump(-1, ' ', false,
                                                             Json::error_handler_t::replace)
          << std::endl;
  }
  std::mutex mutex_ = {};
  std::ofstream file_ = {};
};

}  // namespace rgt::mcp
