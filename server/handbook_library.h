// SPDX-License-Identifier: MIT
// HandbookLibrary: the handbook, the runs and the prompts as MCP offers them.
#pragma once

#include "server/resources.h"
#include "tools/environment.h"

namespace rgt {

class HandbookLibrary final : public mcp::Library {
 public:
  explicit HandbookLibrary(Environment& environment) : environment_(environment) {}

  std::vector<mcp::Resource> resources() override;  // documents, then runs; entries by template
  std::vector<mcp::ResourceTemplate> templates() override;
  Result<mcp::Resource> describe(const std::string& uri) override;
  Result<std::string> read(const std::string& uri) override;
  std::vector<mcp::Prompt> prompts() override;
  Result<std::string> prompt(const std::string& name,
                             const std::map<std::string, std::string>& arguments) override;
  std::vector<std::string> complete(const std::string& argument, const std::string& start) override;

 private:
  Environment& environment_;
};

}  // namespace rgt
