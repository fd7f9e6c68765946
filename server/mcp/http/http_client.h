// SPDX-License-Identifier: MIT
// A client of a running server over HTTP, revision 2026-07-28: every request says by itself who
// asks, and a question to the user comes as a result that the next request answers.
#pragma once

#include <memory>
#include <string>

#include "server/mcp/client.h"

namespace httplib {
class Client;
}

namespace rgt::mcp {

class HttpClient final : public Client {
 public:
  // "http://127.0.0.1:8722/mcp". invalid_argument if it is no such URL.
  static Result<std::unique_ptr<HttpClient>> to(const std::string& url);
  ~HttpClient() override;

  Result<nlohmann::json> request(const std::string& method, const nlohmann::json& params,
                                 Seconds patience) override;

 private:
  HttpClient(std::unique_ptr<httplib::Client> http, std::string path);
  Result<nlohmann::json> post(const std::string& method, const nlohmann::json& params,
                              Seconds patience);
  nlohmann::json answers(const nlohmann::json& questions);

  std::unique_ptr<httplib::Client> http_;
  const std::string path_;
  std::int64_t next_id_ = 1;
};

}  // namespace rgt::mcp
