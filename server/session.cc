// SPDX-License-Identifier: MIT
#include "server/session.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include "core/base/log.h"
#include "core/base/text.h"

namespace rgt::mcp {
namespace {

// More often tells nobody anything and costs the client work.
constexpr Milliseconds kBetweenProgress(100);

// `echo MESSAGE | rgt serve` closes stdin at once and still wants its answer; a host that closes
// wants us gone before it reaches for SIGTERM.
constexpr Milliseconds kLastAnswers(3000);

RpcError bad_params(std::string message) { return {kInvalidParams, std::move(message), nullptr}; }

std::optional<std::string> text_at(const Json& params, const char* key) {
  const auto found = params.find(key);
  if (found == params.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

// Our lists have one page, so no cursor of ours exists.
std::optional<RpcError> refuse_cursor(const Json& params) {
  if (!params.contains("cursor")) return std::nullopt;
  return bad_params("params.cursor: this list has one page; leave the cursor out");
}

}  // namespace

Session::Session(ServerInfo info, const std::vector<Tool>& tools, Library& library,
                 const Clock& clock, Transport& transport, SessionOptions options)
    : info_(std::move(info)),
      tools_(tools),
      library_(library),
      clock_(clock),
      transport_(transport),
      options_(options),
      calls_(options.call_limit) {
  for (const Tool& tool : tools_) {
    input_schemas_.emplace_back(tool.card.input_schema);
    output_schemas_.emplace_back(tool.card.output_schema.is_null() ? Json::object()
                                                                   : tool.card.output_schema);
  }
}

const std::map<std::string, Session::Method, std::less<>>& Session::methods() {
  static const std::map<std::string, Method, std::less<>> table{
      {"initialize", {true, &Session::initialize}},
      {"ping", {true, &Session::ping}},
      {"tools/list", {false, &Session::list_tools}},
      {"resources/list", {false, &Session::list_resources}},
      {"resources/templates/list", {false, &Session::list_templates}},
      {"resources/read", {false, &Session::read_resource}},
      {"prompts/list", {false, &Session::list_prompts}},
      {"prompts/get", {false, &Session::get_prompt}},
      {"completion/complete", {false, &Session::complete}},
  };
  return table;
}

void Session::serve() {
  while (!gone_) {
    const Incoming incoming = transport_.read();
    if (incoming.kind == Incoming::Kind::closed) break;
    if (incoming.kind == Incoming::Kind::too_long) {
      send(write_error(
          {}, {kInvalidRequest,
               "the message is longer than this server reads (4 MiB); it was dropped", nullptr}));
      continue;
    }
    on_message(incoming.text);
  }
  questions_.close();
  if (!gone_) calls_.wait_idle(kLastAnswers);
  calls_.stop_all();
}

void Session::send(const std::string& message) {
  if (!transport_.write(message)) gone_ = true;
}

void Session::on_message(const std::string& text) {
  auto parsed = parse_message(text);
  if (const auto* malformed = std::get_if<Malformed>(&parsed)) {
    send(write_error(malformed->id, malformed->error));
    return;
  }
  Message& message = std::get<Message>(parsed);
  if (const auto* request = std::get_if<Request>(&message)) on_request(*request);
  if (const auto* notification = std::get_if<Notification>(&message))
    on_notification(*notification);
  if (auto* response = std::get_if<Response>(&message)) questions_.answered(std::move(*response));
}

void Session::on_notification(const Notification& notification) {
  if (notification.method == "notifications/cancelled" &&
      notification.params.contains("requestId")) {
    calls_.cancel(notification.params["requestId"]);
  }
}

void Session::on_request(const Request& request) {
  const bool is_call = request.method == "tools/call";
  const auto method = methods().find(request.method);
  if (!is_call && method == methods().end()) {
    send(write_error(request.id, {kMethodNotFound,
                                  "unknown method " + clean_line(request.method, 80), nullptr}));
    return;
  }
  if (!initialized_ && (is_call || !method->second.before_initialize)) {
    send(write_error(request.id, {kInvalidRequest, "initialize must come first", nullptr}));
    return;
  }
  if (is_call) return call_tool(request);
  Outcome outcome = RpcError{};
  try {
    outcome = (this->*method->second.handler)(request.params);
  } catch (const std::exception& error) {  // what a JSON library throws must not end the session
    log::error("in " + request.method + ": " + error.what());
    outcome = RpcError{kInternalError, "internal error; the server's log has more", nullptr};
  }
  if (const auto* error = std::get_if<RpcError>(&outcome))
    send(write_error(request.id, *error));
  else
    send(write_result(request.id, std::get<Json>(outcome)));
}

// ---- tool calls

void Session::call_tool(const Request& request) {
  const auto name = text_at(request.params, "name");
  if (!name)
    return send(write_error(request.id, bad_params("params.name: expected the name of a tool")));
  const auto tool = std::find_if(tools_.begin(), tools_.end(),
                                 [&](const Tool& one) { return one.card.name == *name; });
  if (tool == tools_.end()) {
    std::vector<std::string> names;
    for (const Tool& one : tools_) names.push_back(one.card.name);
    const auto near = did_you_mean(*name, names);
    return send(write_error(request.id, bad_params("unknown tool " + clean_line(*name, 80) + "; " +
                                                   (near ? "did you mean " + *near + "?"
                                                         : "known: " + join(names, ", ")))));
  }
  const Json arguments = request.params.value("arguments", Json::object());
  if (!arguments.is_object())
    return send(write_error(request.id, bad_params("params.arguments: expected an object")));
  const auto index = static_cast<std::size_t>(tool - tools_.begin());
  const auto started = calls_.start(
      request.id, [this, &one = *tool, index, arguments, request](std::stop_token stop) {
        const ToolResult result = run_tool(one, index, arguments, request, stop);
        if (!calls_.was_cancelled(request.id))
          send(write_result(request.id, call_tool_result(result)));
      });
  if (started == Calls::Started::id_in_use) {
    send(write_error(
        request.id, {kInvalidRequest, "a request with this id is still being worked on", nullptr}));
  } else if (started == Calls::Started::too_many) {
    send(write_error(request.id, {kInternalError,
                                  "more than " + std::to_string(Calls::kAtOnce) +
                                      " calls at once; wait for some to end, then call again",
                                  nullptr}));
  }
}

ToolResult Session::run_tool(const Tool& tool, std::size_t index, const Json& arguments,
                             const Request& request, std::stop_token stop) {
  if (const auto wrong = input_schemas_[index].mismatch(arguments)) {
    return {Json::object(),
            *wrong + "\nNext: correct the arguments of " + tool.card.name + " and call it again",
            true, Exit::usage};
  }
  Call call;
  call.now = clock_.now();
  call.stop = stop;
  call.progress = progress_of(request);
  call.ask = [this, stop](const Question& question) { return ask(question, stop); };
  ToolResult result;
  try {
    result = tool.run(arguments, call);
  } catch (const std::exception& error) {
    log::error("tool " + tool.card.name + " threw: " + error.what());
    return {Json::object(), "internal error in " + tool.card.name + "; the server's log has more",
            true, Exit::attention};
  }
  if (!options_.check_results || result.is_error) return result;
  if (const auto wrong = output_schemas_[index].mismatch(result.structured)) {
    return {Json::object(),
            "bug: the result of " + tool.card.name + " breaks its schema: " + *wrong, true,
            Exit::attention};
  }
  return result;
}

std::function<void(double, double, const std::string&)> Session::progress_of(
    const Request& request) {
  const Json meta = request.params.value("_meta", Json::object());
  if (!meta.is_object() || !meta.contains("progressToken")) return {};
  struct State {
    std::mutex mutex = {};
    std::int64_t count = 0;
    std::chrono::steady_clock::time_point last = {};
  };
  auto state = std::make_shared<State>();
  // `progress` must only grow, while a tool goes through phases that each begin at zero: so it
  // counts reports, and the message carries the figures.
  return [this, state, token = meta["progressToken"]](double, double, const std::string& message) {
    const std::scoped_lock lock(state->mutex);
    const auto now = std::chrono::steady_clock::now();
    if (state->count > 0 && now - state->last < kBetweenProgress) return;
    state->last = now;
    send(write_notification(
        "notifications/progress",
        {{"progressToken", token}, {"progress", ++state->count}, {"message", message}}));
  };
}

Answer Session::ask(const Question& question, std::stop_token stop) {
  if (!client_has_forms_) return {Answer::Kind::unavailable, "", ""};
  const auto response = questions_.ask(
      "elicitation/create", elicitation_params(question), stop, options_.question_limit,
      [this](const std::string& message) { return transport_.write(message); });
  if (!response || std::holds_alternative<RpcError>(response->outcome))
    return {Answer::Kind::unavailable, "", ""};
  return read_elicitation(std::get<Json>(response->outcome), question, client_name_);
}

// ---- what is answered at once

Session::Outcome Session::initialize(const Json& params) {
  const auto offered = text_at(params, "protocolVersion");
  if (!offered) return bad_params("params.protocolVersion: expected a revision such as 2025-11-25");
  if (initialized_) return RpcError{kInvalidRequest, "already initialized", nullptr};
  const Json capabilities = params.value("capabilities", Json::object());
  if (capabilities.is_object() && capabilities.contains("elicitation") &&
      capabilities["elicitation"].is_object()) {
    const Json& modes = capabilities["elicitation"];
    client_has_forms_ = modes.empty() || modes.contains("form");  // an empty object means forms
  }
  const Json client = params.value("clientInfo", Json::object());
  if (client.is_object()) client_name_ = text_at(client, "name").value_or("unnamed client");
  initialized_ = true;
  return initialize_result(info_, negotiate(*offered));
}

Session::Outcome Session::ping(const Json&) { return Json::object(); }

Session::Outcome Session::list_tools(const Json& params) {
  if (auto refused = refuse_cursor(params)) return *refused;
  return tools_list(tools_);
}

Session::Outcome Session::list_resources(const Json& params) {
  if (auto refused = refuse_cursor(params)) return *refused;
  return resources_list(library_.resources());
}

Session::Outcome Session::list_templates(const Json& params) {
  if (auto refused = refuse_cursor(params)) return *refused;
  return templates_list(library_.templates());
}

Session::Outcome Session::read_resource(const Json& params) {
  const auto uri = text_at(params, "uri");
  if (!uri) return bad_params("params.uri: expected the URI of a resource");
  const auto text = library_.read(*uri);
  if (!text)
    return RpcError{kResourceNotFound, text.error().message, {{"uri", clean_line(*uri, 400)}}};
  const auto described = library_.describe(*uri);
  return read_resource_result(*uri, described ? described->mime_type : "text/markdown", *text);
}

Session::Outcome Session::list_prompts(const Json& params) {
  if (auto refused = refuse_cursor(params)) return *refused;
  return prompts_list(library_.prompts());
}

Session::Outcome Session::get_prompt(const Json& params) {
  const auto name = text_at(params, "name");
  if (!name) return bad_params("params.name: expected the name of a prompt");
  std::map<std::string, std::string> arguments;
  const Json given = params.value("arguments", Json::object());
  if (!given.is_object()) return bad_params("params.arguments: expected an object");
  for (const auto& [key, value] : given.items()) {
    if (!value.is_string())
      return bad_params("params.arguments." + clean_line(key, 80) + ": expected a string");
    arguments[key] = value.get<std::string>();
  }
  const auto text = library_.prompt(*name, arguments);
  if (!text)
    return bad_params(text.error().message +
                      (text.error().next.empty() ? "" : "; " + text.error().next));
  for (const Prompt& prompt : library_.prompts()) {
    if (prompt.name == *name) return get_prompt_result(prompt.description, *text);
  }
  return get_prompt_result("", *text);
}

Session::Outcome Session::complete(const Json& params) {
  const Json argument = params.value("argument", Json::object());
  const Json ref = params.value("ref", Json::object());
  const auto kind = ref.is_object() ? text_at(ref, "type") : std::nullopt;
  if (kind != "ref/prompt" && kind != "ref/resource")
    return bad_params("params.ref.type: expected ref/prompt or ref/resource");
  const auto name = argument.is_object() ? text_at(argument, "name") : std::nullopt;
  const auto start = argument.is_object() ? text_at(argument, "value") : std::nullopt;
  if (!name || !start) return bad_params("params.argument: expected name and value, both text");
  return complete_result(library_.complete(*name, *start), *start);
}

}  // namespace rgt::mcp
