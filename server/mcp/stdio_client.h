// SPDX-License-Identifier: MIT
// A client over stdio: starts a server program and speaks to it as a host would.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/mcp/client.h"

namespace rgt::mcp {

class StdioClient final : public Client {
 public:
  struct Program {
    std::vector<std::string> argv = {};
    std::vector<std::pair<std::string, std::string>> environment = {};  // added to ours
  };
  // Starts it and shakes hands, declaring that forms can be shown.
  static Result<std::unique_ptr<StdioClient>> start(const Program& program);
  ~StdioClient() override;  // closes its stdin, waits, and kills what does not end within 5 s
  StdioClient(const StdioClient&) = delete;
  StdioClient& operator=(const StdioClient&) = delete;

  Result<nlohmann::json> request(const std::string& method, const nlohmann::json& params,
                                 Seconds patience) override;

 private:
  StdioClient(int input, int output, int pid) : input_(input), output_(output), pid_(pid) {}
  bool send(const nlohmann::json& message);
  Result<std::string> read_line(std::chrono::steady_clock::time_point until);

  int input_;   // the server's stdin, ours to write
  int output_;  // its stdout, ours to read
  int pid_;
  std::int64_t next_id_ = 1;
  std::string buffer_ = {};
};

}  // namespace rgt::mcp
