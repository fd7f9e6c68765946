// SPDX-License-Identifier: MIT
#include "server/mcp/wire.h"
#include "tests/conformance/fixture.h"

namespace rgt::mcp::fixture {

Json form(const std::string& message, Json properties, std::vector<std::string> required) {
  return {{"mode", "form"},
          {"message", message},
          {"requestedSchema",
           {{"type", "object"}, {"properties", std::move(properties)}, {"required", required}}}};
}

namespace {

Json text_field() { return {{"type", "string"}}; }

Json sampling(const std::string& words, int most_tokens) {
  return {{"messages",
           Json::array({{{"role", "user"}, {"content", {{"type", "text"}, {"text", words}}}}})},
          {"maxTokens", most_tokens}};
}

// Asks, and shows what came back; or says that this client cannot be asked.
Outcome show_answer(Context& context, const InputRequest& request, const std::string& prefix) {
  const Inputs inputs = context.ask({request});
  if (inputs.kind == Inputs::Kind::waiting) return Json::object();
  if (inputs.kind == Inputs::Kind::unavailable)
    return tool_error("this client cannot be asked: " + request.method);
  return text_result(prefix + inputs.given.at(request.key).dump());
}

Json defaults_form() {
  return form(
      "Please review and update the form fields with defaults",
      {{"name", {{"type", "string"}, {"default", "John Doe"}}},
       {"age", {{"type", "integer"}, {"default", 30}}},
       {"score", {{"type", "number"}, {"default", 95.5}}},
       {"status",
        {{"type", "string"}, {"enum", {"active", "inactive", "pending"}}, {"default", "active"}}},
       {"verified", {{"type", "boolean"}, {"default", true}}}},
      {});
}

Json enums_form() {
  return form("Please choose", Json::parse(R"({
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {"type": "string", "oneOf": [{"const": "value1", "title": "First Option"},
      {"const": "value2", "title": "Second Option"}, {"const": "value3", "title": "Third Option"}]},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
      "enumNames": ["Option One", "Option Two", "Option Three"]},
    "untitledMulti": {"type": "array", "items": {"type": "string",
      "enum": ["option1", "option2", "option3"]}},
    "titledMulti": {"type": "array", "items": {"anyOf": [{"const": "value1", "title": "First Choice"},
      {"const": "value2", "title": "Second Choice"}, {"const": "value3", "title": "Third Choice"}]}}
  })"),
              {});
}

// What only a client that declared it may be served (2026-07-28, MissingRequiredClientCapability).
Outcome need_sampling(const Json&, Context& context) {
  const InputRequest request{"answer", "sampling/createMessage", sampling("Say yes", 10)};
  Json missing;
  if (!can_be_asked(context.client_capabilities(), request, &missing))
    return RpcError{
        kMissingCapability, "this tool needs sampling", {{"requiredCapabilities", missing}}};
  return show_answer(context, request, "LLM response: ");
}

}  // namespace

std::vector<ServedTool> asking_tools() {
  std::vector<ServedTool> tools;
  const Json with_prompt = Json::parse(
      R"({"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]})");
  tools.push_back(tool("test_sampling", "Asks the client's model", with_prompt,
                       [](const Json& arguments, Context& context) {
                         return show_answer(context,
                                            {"answer", "sampling/createMessage",
                                             sampling(arguments.at("prompt"), 100)},
                                            "LLM response: ");
                       }));
  const Json with_message = Json::parse(
      R"({"type":"object","properties":{"message":{"type":"string"}},"required":["message"]})");
  tools.push_back(tool(
      "test_elicitation", "Asks the client's user", with_message,
      [](const Json& arguments, Context& context) {
        return show_answer(
            context,
            {"answer", "elicitation/create",
             form(arguments.at("message"), {{"username", text_field()}, {"email", text_field()}},
                  {"username", "email"})},
            "User response: ");
      }));
  tools.push_back(tool("test_elicitation_url", "Sends the client's user to a page", nullptr,
                       [](const Json&, Context& context) {
                         return show_answer(context,
                                            {"answer",
                                             "elicitation/create",
                                             {{"mode", "url"},
                                              {"message", "Please open this page"},
                                              {"elicitationId", "page-1"},
                                              {"url", "http://127.0.0.1/approve"}}},
                                            "User response: ");
                       }));
  tools.push_back(tool("test_elicitation_sep1034_defaults", "Shows a form with defaults", nullptr,
                       [](const Json&, Context& context) {
                         return show_answer(context,
                                            {"answer", "elicitation/create", defaults_form()},
                                            "Elicitation completed: ");
                       }));
  tools.push_back(tool("test_elicitation_sep1330_enums", "Shows a form with choices", nullptr,
                       [](const Json&, Context& context) {
                         return show_answer(context, {"answer", "elicitation/create", enums_form()},
                                            "Elicitation completed: ");
                       }));
  tools.push_back(
      tool("test_missing_capability", "Needs a client with sampling", nullptr, need_sampling));
  tools.push_back(tool("test_streaming_elicitation", "Asks the client's user", nullptr,
                       [](const Json&, Context& context) {
                         return show_answer(context,
                                            {"answer", "elicitation/create",
                                             form("Go on?", {{"ok", {{"type", "boolean"}}}}, {})},
                                            "User response: ");
                       }));
  return tools;
}

// ---- MRTR: the names are the suite's

namespace {

InputRequest ask_name(const std::string& key) {
  return {key, "elicitation/create",
          form("What is your name?", {{"name", text_field()}}, {"name"})};
}
InputRequest ask_ok() {
  return {"confirm", "elicitation/create",
          form("Please confirm", {{"ok", {{"type", "boolean"}}}}, {"ok"})};
}
InputRequest ask_roots() { return {"client_roots", "roots/list", Json::object()}; }

std::string field_of(const Inputs& inputs, const std::string& key, const char* field) {
  const Json content = inputs.given.at(key).value("content", Json::object());
  return content.value(field, "nobody");
}

using Finish = std::function<std::string(const Inputs&)>;
ServedTool one_round(const std::string& name, std::vector<InputRequest> requests, Finish finish) {
  return tool(name, "Asks before it answers", nullptr,
              [requests = std::move(requests), finish = std::move(finish)](
                  const Json&, Context& context) -> Outcome {
                const Inputs inputs = context.ask(requests);
                if (inputs.kind == Inputs::Kind::waiting) return Json::object();
                if (inputs.kind == Inputs::Kind::unavailable)
                  return tool_error("this client cannot be asked");
                return text_result(finish(inputs));
              });
}

Outcome two_rounds(const Json&, Context& context) {
  const Inputs first = context.ask({ask_name("step1")});
  if (first.kind == Inputs::Kind::waiting) return Json::object();
  if (first.kind == Inputs::Kind::unavailable) return tool_error("this client cannot be asked");
  const Inputs second =
      context.ask({{"step2", "elicitation/create",
                    form("What is your favorite color?", {{"color", text_field()}}, {"color"})}});
  if (second.kind == Inputs::Kind::waiting) return Json::object();
  if (second.kind == Inputs::Kind::unavailable) return tool_error("this client cannot be asked");
  return text_result(field_of(first, "step1", "name") + " likes " +
                     field_of(second, "step2", "color"));
}

Outcome ask_what_it_can(const Json&, Context& context) {
  std::vector<InputRequest> requests{ask_name("user_name"),
                                     {"answer", "sampling/createMessage", sampling("Hello", 50)}};
  std::erase_if(requests, [&](const InputRequest& request) {
    return !can_be_asked(context.client_capabilities(), request);
  });
  const Inputs inputs = context.ask(requests);
  if (inputs.kind == Inputs::Kind::waiting) return Json::object();
  return text_result("asked " + std::to_string(inputs.given.size()));
}

}  // namespace

std::vector<ServedTool> input_required_tools() {
  const std::string prefix = "test_input_required_result_";
  std::vector<ServedTool> tools;
  tools.push_back(
      one_round(prefix + "elicitation", {ask_name("user_name")}, [](const Inputs& inputs) {
        return "Hello, " + field_of(inputs, "user_name", "name") + "!";
      }));
  tools.push_back(
      one_round(prefix + "sampling",
                {{"capital_question", "sampling/createMessage",
                  sampling("What is the capital of France?", 100)}},
                [](const Inputs& inputs) { return inputs.given.at("capital_question").dump(); }));
  tools.push_back(one_round(prefix + "list_roots", {ask_roots()}, [](const Inputs& inputs) {
    return "roots: " + inputs.given.at("client_roots").dump();
  }));
  tools.push_back(one_round(prefix + "request_state", {ask_ok()},
                            [](const Inputs&) { return std::string("state-ok"); }));
  tools.push_back(
      one_round(prefix + "multiple_inputs",
                {ask_name("user_name"),
                 {"greeting", "sampling/createMessage", sampling("Generate a greeting", 50)},
                 ask_roots()},
                [](const Inputs& inputs) { return "got " + std::to_string(inputs.given.size()); }));
  tools.push_back(
      tool(prefix + "multi_round", "Asks twice before it answers", nullptr, two_rounds));
  tools.push_back(one_round(prefix + "tampered_state", {ask_ok()},
                            [](const Inputs&) { return std::string("state-ok"); }));
  tools.push_back(
      tool(prefix + "capabilities", "Asks only what the client can", nullptr, ask_what_it_can));
  return tools;
}

}  // namespace rgt::mcp::fixture
