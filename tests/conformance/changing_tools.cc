// SPDX-License-Identifier: MIT
#include "tests/conformance/fixture.h"

namespace rgt::mcp::fixture {

std::vector<ServedTool> changing_tools(ToolSet*& tools, Changes& changes) {
  std::vector<ServedTool> served;
  served.push_back(tool("test_trigger_tool_change", "Adds a tool, or removes it again", nullptr,
                        [&tools, &changes](const Json&, Context&) -> Outcome {
                          ToolList list = *tools->list();
                          if (list.back()->name() == "added_tool")
                            list.pop_back();
                          else
                            list.push_back(std::make_shared<const ServedTool>(
                                tool("added_tool", "Comes and goes", nullptr,
                                     [](const Json&, Context&) { return text_result("here"); })));
                          tools->replace(std::move(list));
                          changes.tell({Change::Kind::tools, ""});
                          return text_result("changed");
                        }));
  served.push_back(tool("test_trigger_prompt_change", "Tells that the prompts changed", nullptr,
                        [&changes](const Json&, Context&) -> Outcome {
                          changes.tell({Change::Kind::prompts, ""});
                          return text_result("changed");
                        }));
  served.push_back(tool("test_trigger_resource_change", "Tells that a resource changed", nullptr,
                        [&changes](const Json&, Context&) -> Outcome {
                          changes.tell({Change::Kind::resource, "test://watched-resource"});
                          changes.tell({Change::Kind::resources, ""});
                          return text_result("changed");
                        }));
  return served;
}

}  // namespace rgt::mcp::fixture
