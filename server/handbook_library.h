// SPDX-License-Identifier: MIT
// HandbookLibrary: the handbook, the runs and the prompts as MCP offers them.
#pragma once

#include <mutex>

#include "server/mcp/library.h"
#include "tools/environment.h"

namespace rgt {

class HandbookLibrary final : public mcp::Library {
 public:
  explicit HandbookLibrary(Environment& environment) : environment_(environment) {}

  std::vector<mcp::Resource> resources() override;  // documents, then runs; entries by template
  std::vector<mcp::ResourceTemplate> templates() override;
  bool has_skills() override;
  std::vector<mcp::Skill> skills() override;
  Result<mcp::ReadResult> read(const std::string& uri) override;
  std::vector<mcp::Prompt> prompts() override;
  Result<mcp::PromptResult> prompt(const std::string& name,
                                   const std::map<std::string, std::string>& arguments,
                                   mcp::Context& context) override;
  std::vector<std::string> complete(const std::string& argument, const std::string& start) override;

 private:
  Result<std::string> prompt_text(const std::string& name,
                                  const std::map<std::string, std::string>& arguments);

  Environment& environment_;
  std::once_flag skills_once_ = {};
  std::vector<mcp::Skill> skills_ = {};  // made when first asked for; the handbook does not change
};

}  // namespace rgt
