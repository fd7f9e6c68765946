// SPDX-License-Identifier: MIT
// What the official conformance suite expects a server to offer: tools, resources and prompts with
// fixed names and fixed behaviour. Served by the same library as rgt itself; nothing of rgt's own
// tools is in here.
#pragma once

#include <vector>

#include "server/mcp/offer.h"

namespace rgt::mcp::fixture {

// A tool with a name, one line of description, an input schema (null: no arguments) and what it
// does.
ServedTool tool(const std::string& name, const std::string& description, Json input_schema,
                std::function<Outcome(const Json& arguments, Context& context)> run);
Json text_result(const std::string& text);
Json form(const std::string& message, Json properties, std::vector<std::string> required);
// A PNG of one red pixel and a WAV of a few silent samples, as base64.
std::string png();
std::string wav();

std::vector<ServedTool> content_tools();         // answers of every kind
std::vector<ServedTool> asking_tools();          // ask the client, in both eras
std::vector<ServedTool> input_required_tools();  // MRTR
std::vector<ServedTool> task_tools();            // tasks extension
std::vector<ServedTool> changing_tools(ToolSet*& tools, Changes& changes);  // change the lists

class FixtureLibrary final : public Library {
 public:
  std::vector<Resource> resources() override;
  std::vector<ResourceTemplate> templates() override;
  Result<ReadResult> read(const std::string& uri) override;
  std::vector<Prompt> prompts() override;
  Result<PromptResult> prompt(const std::string& name,
                              const std::map<std::string, std::string>& arguments,
                              Context& context) override;
  std::vector<std::string> complete(const std::string& argument, const std::string& start) override;
};

}  // namespace rgt::mcp::fixture
