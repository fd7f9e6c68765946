// SPDX-License-Identifier: MIT
// A small MCP client over stdio, for `rgt eval`: starts a server program, speaks to it as a host
// would, and answers its questions to the user the way a case says. One thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace rgt::mcp {

class StdioClient {
 public:
  struct Program {
    std::vector<std::string> argv = {};
    std::vector<std::pair<std::string, std::string>> environment = {};  // added to ours
  };
  // Starts it and shakes hands, declaring that forms can be shown.
  static Result<std::unique_ptr<StdioClient>> start(const Program& program);
  ~StdioClient();  // closes its stdin, waits, and kills what does not end within 5 s
  StdioClient(const StdioClient&) = delete;
  StdioClient& operator=(const StdioClient&) = delete;

  // What to answer to elicitation/create from now on: the result object of the specification.
  void set_form_answer(nlohmann::json answer) { form_answer_ = std::move(answer); }
  // The result object. An Error carries what the server said, or that it did not answer in time.
  Result<nlohmann::json> request(const std::string& method, const nlohmann::json& params,
                                 Seconds patience);
  // The forms that the server asked to show, in order.
  const std::vector<nlohmann::json>& forms() const { return forms_; }

 private:
  StdioClient(int input, int output, int pid) : input_(input), output_(output), pid_(pid) {}
  bool send(const nlohmann::json& message);
  Result<std::string> read_line(std::chrono::steady_clock::time_point until);

  int input_;   // the server's stdin, ours to write
  int output_;  // its stdout, ours to read
  int pid_;
  std::int64_t next_id_ = 1;
  std::string buffer_ = {};
  nlohmann::json form_answer_ = {{"action", "decline"}};
  std::vector<nlohmann::json> forms_ = {};
};

}  // namespace rgt::mcp
