// SPDX-License-Identifier: MIT
// A library of a few texts, one of them binary, and a prompt.
#pragma once

#include "server/mcp/library.h"

namespace rgt::mcp {

class SampleLibrary final : public Library {
 public:
  std::vector<Resource> resources() override {
    std::vector<Resource> list(3);
    const char* names[] = {"a", "b", "c"};
    for (std::size_t i = 0; i < list.size(); ++i) {
      list[i].uri = std::string("test://") + names[i];
      list[i].name = list[i].title = list[i].description = names[i];
      list[i].mime_type = "text/plain";
    }
    return list;
  }
  std::vector<ResourceTemplate> templates() override { return {}; }
  Result<ReadResult> read(const std::string& uri) override {
    ReadResult result;
    if (uri == "test://a") result.contents.push_back({uri, "text/plain", "text of a", false});
    if (uri == "test://b")
      result.contents.push_back({uri, "application/octet-stream", std::string("\0\xff", 2), true});
    if (result.contents.empty()) return Error{Code::not_found, "no resource " + uri, ""};
    return result;
  }
  bool has_skills() override { return true; }
  std::vector<Skill> skills() override {
    return {{"skill://hello/SKILL.md",
             {{"name", "hello"}, {"description", "says hello"}},
             {{"skill://hello/SKILL.md", std::string(64, 'a'), 12}}}};
  }
  std::vector<Prompt> prompts() override {
    return {{"greet", "Greet", "Greets somebody", {{"name", "whom", true}}}};
  }
  Result<PromptResult> prompt(const std::string&,
                              const std::map<std::string, std::string>& arguments,
                              Context&) override {
    return user_prompt("Greets somebody", "Greet " + arguments.at("name"));
  }
  std::vector<std::string> complete(const std::string&, const std::string&) override {
    std::vector<std::string> words(150, "x");
    for (std::size_t i = 0; i < words.size(); ++i) words[i] += std::to_string(i);
    return words;
  }
};

}  // namespace rgt::mcp
