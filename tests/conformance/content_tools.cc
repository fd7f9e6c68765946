// SPDX-License-Identifier: MIT
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "tests/conformance/fixture.h"

namespace rgt::mcp::fixture {

ServedTool tool(const std::string& name, const std::string& description, Json input_schema,
                std::function<Outcome(const Json&, Context&)> run) {
  if (input_schema.is_null()) input_schema = {{"type", "object"}, {"properties", Json::object()}};
  ServedTool served;
  served.card = {{"name", name}, {"description", description}, {"inputSchema", input_schema}};
  served.input = std::make_shared<const Schema>(input_schema);
  served.run = std::move(run);
  return served;
}

Json text_result(const std::string& text) {
  return {{"content", Json::array({{{"type", "text"}, {"text", text}}})}};
}

std::string png() {
  return "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5E"
         "rkJggg==";
}
std::string wav() { return "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA=="; }

namespace {

// The suite wants about this long between messages of one call.
void pause(const Context& context) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, context.stop(), std::chrono::milliseconds(50), [] { return false; });
}

Json image() { return {{"type", "image"}, {"data", png()}, {"mimeType", "image/png"}}; }

Json embedded(const std::string& uri, const std::string& mime_type, const std::string& text) {
  return {{"type", "resource"},
          {"resource", {{"uri", uri}, {"mimeType", mime_type}, {"text", text}}}};
}

Outcome with_logging(const Json&, Context& context) {
  for (const char* words :
       {"Tool execution started", "Tool processing data", "Tool execution completed"}) {
    context.log(LogLevel::info, "conformance", words);
    pause(context);
  }
  return text_result("logged");
}

Outcome with_progress(const Json&, Context& context) {
  for (const double done : {0.0, 50.0, 100.0}) {
    context.progress(done, 100.0, "at " + std::to_string(static_cast<int>(done)));
    pause(context);
  }
  return text_result("done");
}

Outcome hang_up_midway(const Json&, Context& context) {
  context.progress(1, std::nullopt, "about to hang up");
  pause(context);
  context.release_stream();
  pause(context);
  return text_result("Reconnected: this was said after the stream was closed.");
}

Json schema_2020_12() {
  return Json::parse(R"({
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object",
      "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
      "contactMethod": {"type": "string", "enum": ["phone", "email"]},
      "phone": {"type": "string"}, "email": {"type": "string"}},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": false})");
}

}  // namespace

std::vector<ServedTool> content_tools() {
  std::vector<ServedTool> tools;
  tools.push_back(tool("test_simple_text", "Answers with text", nullptr, [](const Json&, Context&) {
    return text_result("This is a simple text response for testing.");
  }));
  tools.push_back(tool("test_image_content", "Answers with an image", nullptr,
                       [](const Json&, Context&) -> Outcome {
                         return Json{{"content", Json::array({image()})}};
                       }));
  tools.push_back(tool(
      "test_audio_content", "Answers with sound", nullptr, [](const Json&, Context&) -> Outcome {
        return Json{
            {"content",
             Json::array({{{"type", "audio"}, {"data", wav()}, {"mimeType", "audio/wav"}}})}};
      }));
  tools.push_back(tool(
      "test_embedded_resource", "Answers with a resource", nullptr,
      [](const Json&, Context&) -> Outcome {
        return Json{{"content", Json::array({embedded("test://embedded-resource", "text/plain",
                                                      "This is an embedded resource content.")})}};
      }));
  tools.push_back(
      tool("test_multiple_content_types", "Answers with three kinds of content", nullptr,
           [](const Json&, Context&) -> Outcome {
             return Json{{"content",
                          Json::array({{{"type", "text"}, {"text", "Multiple content types test:"}},
                                       image(),
                                       embedded("test://mixed-content-resource", "application/json",
                                                R"({"test":"data","value":123})")})}};
           }));
  tools.push_back(tool("test_error_handling", "Fails, and says so in its result", nullptr,
                       [](const Json&, Context&) -> Outcome {
                         Json result =
                             text_result("This tool intentionally returns an error for testing");
                         result["isError"] = true;
                         return result;
                       }));
  tools.push_back(tool("test_tool_with_logging", "Logs while it works", nullptr, with_logging));
  tools.push_back(tool("test_logging_tool", "Logs while it works", nullptr, with_logging));
  tools.push_back(
      tool("test_tool_with_progress", "Reports progress while it works", nullptr, with_progress));
  tools.push_back(
      tool("test_reconnection", "Closes its stream before it answers", nullptr, hang_up_midway));
  tools.push_back(tool("json_schema_2020_12_tool", "Has a schema with rarer keywords",
                       schema_2020_12(),
                       [](const Json&, Context&) { return text_result("valid"); }));
  const Json with_header = Json::parse(
      R"({"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}})");
  tools.push_back(tool("test_x_mcp_header", "Has an argument that is repeated in a header",
                       with_header, [](const Json& arguments, Context&) {
                         return text_result("region: " + arguments.value("region", "none"));
                       }));
  return tools;
}

}  // namespace rgt::mcp::fixture
