// SPDX-License-Identifier: MIT
#include "core/base/text.h"
#include "tests/conformance/fixture.h"

namespace rgt::mcp::fixture {
namespace {

Resource resource(const std::string& uri, const std::string& name, const std::string& mime_type) {
  Resource entry;
  entry.uri = uri;
  entry.name = entry.title = name;
  entry.description = "A resource of the conformance suite: " + name;
  entry.mime_type = mime_type;
  return entry;
}

Json message(Json content) { return {{"role", "user"}, {"content", std::move(content)}}; }
Json text(const std::string& words) { return {{"type", "text"}, {"text", words}}; }

}  // namespace

std::vector<Resource> FixtureLibrary::resources() {
  return {resource("test://static-text", "static-text", "text/plain"),
          resource("test://static-binary", "static-binary", "image/png"),
          resource("test://watched-resource", "watched-resource", "text/plain")};
}

std::vector<ResourceTemplate> FixtureLibrary::templates() {
  return {{"test://template/{id}/data", "template", "Template", "Data by id", "application/json"}};
}

Result<ReadResult> FixtureLibrary::read(const std::string& uri) {
  constexpr std::string_view kBegin = "test://template/";
  constexpr std::string_view kEnd = "/data";
  ReadResult result;
  if (uri == "test://static-text") {
    result.contents.push_back(
        {uri, "text/plain", "This is the content of the static text resource.", false});
  } else if (uri == "test://static-binary") {
    result.contents.push_back({uri, "image/png", base64_decode(png()).value(), true});
  } else if (uri == "test://watched-resource") {
    result.contents.push_back({uri, "text/plain", "watched", false});
  } else if (uri.starts_with(kBegin) && uri.ends_with(kEnd) &&
             uri.size() > kBegin.size() + kEnd.size()) {
    const std::string id = uri.substr(kBegin.size(), uri.size() - kBegin.size() - kEnd.size());
    const Json data{{"id", id}, {"templateTest", true}, {"data", "Data for ID: " + id}};
    result.contents.push_back({uri, "application/json", data.dump(), false});
  } else {
    return Error{Code::not_found, "no resource " + clean_line(uri, 200), ""};
  }
  return result;
}

std::vector<Prompt> FixtureLibrary::prompts() {
  return {{"test_simple_prompt", "Simple", "A prompt without arguments", {}},
          {"test_prompt_with_arguments",
           "With arguments",
           "A prompt with two arguments",
           {{"arg1", "first", true}, {"arg2", "second", true}}},
          {"test_prompt_with_embedded_resource",
           "With a resource",
           "A prompt that holds a resource",
           {{"resourceUri", "URI of the resource", true}}},
          {"test_prompt_with_image", "With an image", "A prompt that holds an image", {}},
          {"test_input_required_result_prompt", "Asks first", "A prompt that asks the user", {}}};
}

Result<PromptResult> FixtureLibrary::prompt(const std::string& name,
                                            const std::map<std::string, std::string>& arguments,
                                            Context& context) {
  const std::string description = "A prompt of the conformance suite";
  if (name == "test_simple_prompt")
    return user_prompt(description, "This is a simple prompt for testing.");
  if (name == "test_prompt_with_arguments")
    return user_prompt(description, "Prompt with arguments: arg1='" + arguments.at("arg1") +
                                        "', arg2='" + arguments.at("arg2") + "'");
  PromptResult result{description, Json::array()};
  if (name == "test_prompt_with_embedded_resource") {
    result.messages.push_back(message({{"type", "resource"},
                                       {"resource",
                                        {{"uri", arguments.at("resourceUri")},
                                         {"mimeType", "text/plain"},
                                         {"text", "Embedded resource content for testing."}}}}));
    result.messages.push_back(message(text("Please process the embedded resource above.")));
  } else if (name == "test_prompt_with_image") {
    result.messages.push_back(
        message({{"type", "image"}, {"data", png()}, {"mimeType", "image/png"}}));
    result.messages.push_back(message(text("Please analyze the image above.")));
  } else {
    const Inputs inputs = context.ask(
        {{"user_context", "elicitation/create",
          form("What is this about?", {{"context", {{"type", "string"}}}}, {"context"})}});
    if (inputs.kind == Inputs::Kind::waiting) return result;
    if (inputs.kind == Inputs::Kind::unavailable)
      return Error{Code::refused, "this client cannot be asked", ""};
    const Json content = inputs.given.at("user_context").value("content", Json::object());
    return user_prompt(description, "Context: " + content.value("context", "none"));
  }
  return result;
}

std::vector<std::string> FixtureLibrary::complete(const std::string&, const std::string&) {
  return {"paris", "park", "party"};
}

}  // namespace rgt::mcp::fixture
