// SPDX-License-Identifier: MIT
// An MCP client as `rgt eval` needs one: asks one thing at a time, and answers the server's
// questions to the user the way a case says. One thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/result.h"

namespace rgt::mcp {

class Client {
 public:
  virtual ~Client() = default;
  // The result object. An Error carries what the server said, or that it did not answer in time.
  virtual Result<nlohmann::json> request(const std::string& method, const nlohmann::json& params,
                                         Seconds patience) = 0;
  // What to answer to a form from now on: the result object of the specification.
  void set_form_answer(nlohmann::json answer) { form_answer_ = std::move(answer); }
  // The forms that the server asked to show, in order.
  const std::vector<nlohmann::json>& forms() const { return forms_; }

 protected:
  nlohmann::json form_answer_ = {{"action", "decline"}};
  std::vector<nlohmann::json> forms_ = {};
};

}  // namespace rgt::mcp
