// SPDX-License-Identifier: MIT
#include "server/mcp/service.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/base/text.h"
#include "server/mcp/listening.h"
#include "server/mcp/wire.h"

namespace rgt::mcp {
namespace {

RpcError bad_params(std::string message) { return {kInvalidParams, std::move(message), nullptr}; }

std::optional<std::string> text_at(const Json& params, const char* key) {
  const auto found = params.find(key);
  if (found == params.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

void set_freshness(Json& result, Milliseconds time, bool shareable) {
  result["ttlMs"] = time.count();
  result["cacheScope"] = shareable ? "public" : "private";
}

bool knows_tasks(const Json& capabilities) {
  const auto extensions = capabilities.find("extensions");
  return extensions != capabilities.end() && extensions->is_object() &&
         extensions->contains(kTasksExtension) && (*extensions)[kTasksExtension].is_object();
}

RpcError needs_tasks() {
  return {
      kMissingCapability,
      "this needs the extension io.modelcontextprotocol/tasks; declare it in clientCapabilities",
      {{"requiredCapabilities", {{"extensions", {{kTasksExtension, Json::object()}}}}}}};
}

}  // namespace

Service::Service(Offer offer, const Clock& clock, ServiceOptions options)
    : offer_(std::move(offer)),
      clock_(clock),
      options_(options),
      calls_(options.call_limit, options.calls_at_once),
      tasks_(clock, calls_, offer_.changes) {}

const std::map<std::string, Service::Method, std::less<>>& Service::methods() {
  // handshake, stateless, long-running, replayed. Without a handler: answered by Session.
  static const std::map<std::string, Method, std::less<>> table{
      {"initialize", {true, false, false, false, nullptr}},
      {"ping", {true, false, false, false, nullptr}},
      {"logging/setLevel", {true, false, false, false, nullptr}},
      {"resources/subscribe", {true, false, false, false, nullptr}},
      {"resources/unsubscribe", {true, false, false, false, nullptr}},
      {"server/discover", {false, true, false, false, &Service::discover}},
      {"subscriptions/listen", {false, true, true, false, &Service::listen}},
      {"tasks/get", {false, true, false, false, &Service::get_task}},
      {"tasks/update", {false, true, false, false, &Service::update_task}},
      {"tasks/cancel", {false, true, false, false, &Service::cancel_task}},
      {"tools/list", {true, true, false, false, &Service::list_tools}},
      {"tools/call", {true, true, true, true, &Service::call_tool}},
      {"resources/list", {true, true, false, false, &Service::list_resources}},
      {"resources/templates/list", {true, true, false, false, &Service::list_templates}},
      {"resources/read", {true, true, false, true, &Service::read_resource}},
      {"skills/list", {true, true, false, false, &Service::list_skills}},
      {"skills/get", {true, true, false, false, &Service::get_skill}},
      {"prompts/list", {true, true, false, false, &Service::list_prompts}},
      {"prompts/get", {true, true, true, true, &Service::get_prompt}},
      {"completion/complete", {true, true, false, false, &Service::complete}},
  };
  return table;
}

bool Service::has_method(std::string_view method, Era era) {
  const auto found = methods().find(method);
  if (found == methods().end()) return false;
  return era == Era::handshake ? found->second.handshake : found->second.stateless;
}

bool Service::takes_long(std::string_view method) {
  const auto found = methods().find(method);
  return found != methods().end() && found->second.long_running;
}

Exchange::Asking Service::asking(Questions* questions) const {
  return {questions, options_.question_limit, &seal_, clock_.now()};
}

Json Service::capabilities(Era era) const {
  const Json changing{{"listChanged", offer_.lists_change}};
  const Json lists = offer_.lists_change ? changing : Json::object();
  Json all{{"tools", lists},
           {"prompts", lists},
           {"resources", {{"subscribe", true}, {"listChanged", true}}},
           {"completions", Json::object()},
           {"logging", Json::object()}};
  // SEP-2640 is written against the stateless revision; nothing of it needs one, and hosts with a
  // handshake look for the same declaration.
  if (offer_.library.has_skills()) all["extensions"][kSkillsExtension] = Json::object();
  if (era == Era::stateless) all["extensions"][kTasksExtension] = Json::object();
  return all;
}

Outcome Service::answer(const Request& request, Exchange& exchange) {
  const auto method = methods().find(request.method);
  if (!has_method(request.method, exchange.era()) || method->second.handler == nullptr)
    return RpcError{kMethodNotFound, "unknown method " + clean_line(request.method, 80), nullptr};
  try {
    return handle(method->second, request, exchange);
  } catch (const std::exception& error) {  // what a JSON library throws must not end the server
    log::error("in " + request.method + ": " + error.what());
    return RpcError{kInternalError, "internal error; the server's log has more", nullptr};
  }
}

Outcome Service::handle(const Method& method, const Request& request, Exchange& exchange) {
  const bool replayed = method.replayed && exchange.era() == Era::stateless;
  if (replayed) {
    if (auto refused = exchange.read_inputs(request)) return *refused;
  }
  Outcome outcome = (this->*method.handler)(request, exchange);
  if (replayed) outcome = exchange.settle(std::move(outcome));
  if (auto* result = std::get_if<Json>(&outcome))
    return complete_for(exchange.era(), std::move(*result));
  return outcome;
}

Json Service::complete_for(Era era, Json result) const {
  if (era == Era::handshake) return result;
  if (!result.contains("resultType")) result["resultType"] = "complete";
  result["_meta"][kMetaServer] = implementation(offer_.info, true);
  return result;
}

Outcome Service::discover(const Request&, Exchange&) {
  Json result{{"supportedVersions", {kStatelessRevision}},
              {"capabilities", capabilities(Era::stateless)}};
  if (!offer_.info.instructions.empty()) result["instructions"] = offer_.info.instructions;
  set_freshness(result, options_.lists_fresh_for, true);
  return result;
}

// ---- lists

// A cursor is the key of the last entry that was given; lists are stable, so the next page begins
// behind it.
Outcome Service::page(const char* list, std::vector<Json> entries, const char* key,
                      const Json& params, const Exchange& exchange, bool shareable) const {
  std::size_t begin = 0;
  if (params.contains("cursor")) {
    const auto cursor = text_at(params, "cursor");
    const auto last = cursor ? base64_decode(*cursor) : std::nullopt;
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Json& entry) {
      return last && entry[key].get_ref<const std::string&>() == *last;
    });
    if (found == entries.end())
      return bad_params("params.cursor: not one that this list gave; start again without a cursor");
    begin = static_cast<std::size_t>(found - entries.begin()) + 1;
  }
  const std::size_t end = std::min(entries.size(), begin + options_.page_size);
  Json result{{list, Json::array()}};
  for (std::size_t i = begin; i < end; ++i) result[list].push_back(std::move(entries[i]));
  if (end < entries.size())
    result["nextCursor"] = base64_encode(result[list].back()[key].get_ref<const std::string&>());
  if (exchange.era() == Era::stateless)
    set_freshness(result, shareable ? options_.lists_fresh_for : Milliseconds(0), shareable);
  return result;
}

Outcome Service::list_tools(const Request& request, Exchange& exchange) {
  std::vector<Json> entries;
  for (const auto& tool : *offer_.tools.list()) entries.push_back(tool->card);
  return page("tools", std::move(entries), "name", request.params, exchange, true);
}

Outcome Service::list_resources(const Request& request, Exchange& exchange) {
  std::vector<Json> entries;
  for (const Resource& resource : offer_.library.resources())
    entries.push_back(resource_entry(resource));
  return page("resources", std::move(entries), "uri", request.params, exchange, false);
}

Outcome Service::list_templates(const Request& request, Exchange& exchange) {
  std::vector<Json> entries;
  for (const ResourceTemplate& entry : offer_.library.templates())
    entries.push_back(template_entry(entry));
  return page("resourceTemplates", std::move(entries), "uriTemplate", request.params, exchange,
              true);
}

// Results of the skills extension carry their freshness in either era: hosts verify what they keep.
Outcome Service::list_skills(const Request& request, Exchange& exchange) {
  std::vector<Json> entries;
  for (const Skill& skill : offer_.library.skills()) entries.push_back(skill_entry(skill));
  Outcome outcome = page("skills", std::move(entries), "uri", request.params, exchange, true);
  if (auto* result = std::get_if<Json>(&outcome)) {
    (*result)["resultType"] = "complete";
    set_freshness(*result, options_.lists_fresh_for, true);
  }
  return outcome;
}

Outcome Service::get_skill(const Request& request, Exchange&) {
  const auto uri = text_at(request.params, "uri");
  if (!uri) return bad_params("params.uri: expected the URI of a skill's SKILL.md");
  for (const Skill& skill : offer_.library.skills()) {
    if (skill.uri != *uri) continue;
    Json result{{"resultType", "complete"}, {"skill", skill_entry(skill)}};
    set_freshness(result, options_.lists_fresh_for, true);
    return result;
  }
  return RpcError{kInvalidParams,
                  "no skill " + clean_line(*uri, 200) + "; skills/list names them",
                  {{"uri", clean_line(*uri, 400)}}};
}

Outcome Service::list_prompts(const Request& request, Exchange& exchange) {
  std::vector<Json> entries;
  for (const Prompt& prompt : offer_.library.prompts()) entries.push_back(prompt_entry(prompt));
  return page("prompts", std::move(entries), "name", request.params, exchange, true);
}

// ---- tools

std::shared_ptr<const ServedTool> Service::find_tool(const Json& params) const {
  const auto name = text_at(params, "name");
  if (!name) return nullptr;
  const auto tools = offer_.tools.list();
  const auto found = std::find_if(tools->begin(), tools->end(),
                                  [&](const auto& tool) { return tool->name() == *name; });
  return found == tools->end() ? nullptr : *found;
}

RpcError Service::no_such_tool(const Json& params) const {
  const auto name = text_at(params, "name");
  if (!name) return bad_params("params.name: expected the name of a tool");
  std::vector<std::string> names;
  for (const auto& tool : *offer_.tools.list()) names.push_back(tool->name());
  const auto near = did_you_mean(*name, names);
  return bad_params("unknown tool " + clean_line(*name, 80) + "; " +
                    (near ? "did you mean " + *near + "?" : "known: " + join(names, ", ")));
}

Outcome Service::call_tool(const Request& request, Exchange& exchange) {
  auto tool = find_tool(request.params);
  if (!tool) return no_such_tool(request.params);
  const Json arguments = request.params.value("arguments", Json::object());
  if (!arguments.is_object()) return bad_params("params.arguments: expected an object");
  if (const auto wrong = tool->input ? tool->input->mismatch(arguments) : std::nullopt)
    return tool_error(*wrong + "\nNext: correct the arguments of " + tool->name() +
                      " and call it again");
  const bool as_task = exchange.era() == Era::stateless &&
                       tool->tasks != ServedTool::Tasks::never &&
                       knows_tasks(exchange.client_capabilities());
  if (as_task) return start_task(std::move(tool), arguments, exchange);
  if (tool->tasks == ServedTool::Tasks::always) return needs_tasks();
  return run_tool(*tool, arguments, exchange);
}

Outcome Service::run_tool(const ServedTool& tool, const Json& arguments, Context& context) const {
  Outcome outcome = Json::object();
  try {
    outcome = tool.run(arguments, context);
  } catch (const std::exception& error) {
    log::error("tool " + tool.name() + " threw: " + error.what());
    context.log(LogLevel::error, tool.name(), "internal error; the server's log has more");
    return tool_error("internal error in " + tool.name() + "; the server's log has more");
  }
  const auto* result = std::get_if<Json>(&outcome);
  if (!options_.check_results || result == nullptr || !tool.output) return outcome;
  if (result->value("isError", false) || !result->contains("structuredContent")) return outcome;
  if (const auto wrong = tool.output->mismatch((*result)["structuredContent"]))
    return tool_error("bug: the result of " + tool.name() + " breaks its schema: " + *wrong);
  return outcome;
}

Outcome Service::start_task(std::shared_ptr<const ServedTool> tool, const Json& arguments,
                            Exchange& exchange) {
  std::map<std::string, Json> answers;
  if (tool->before_task) {
    Inputs inputs = exchange.ask(tool->before_task(arguments));
    if (inputs.kind == Inputs::Kind::waiting) return Json::object();
    answers = std::move(inputs.given);
  }
  return tasks_.create({exchange.era(), exchange.client_name(), exchange.client_capabilities(), {}},
                       std::move(answers), [this, tool, arguments](Context& context) {
                         return run_tool(*tool, arguments, context);
                       });
}

Outcome Service::get_task(const Request& request, Exchange& exchange) {
  return knows_tasks(exchange.client_capabilities()) ? tasks_.get(request.params) : needs_tasks();
}
Outcome Service::update_task(const Request& request, Exchange& exchange) {
  return knows_tasks(exchange.client_capabilities()) ? tasks_.update(request.params)
                                                     : needs_tasks();
}
Outcome Service::cancel_task(const Request& request, Exchange& exchange) {
  return knows_tasks(exchange.client_capabilities()) ? tasks_.cancel(request.params)
                                                     : needs_tasks();
}

// ---- resources, prompts, completion

Outcome Service::read_resource(const Request& request, Exchange& exchange) {
  const auto uri = text_at(request.params, "uri");
  if (!uri) return bad_params("params.uri: expected the URI of a resource");
  const auto read = offer_.library.read(*uri);
  if (!read) {
    return RpcError{exchange.era() == Era::handshake ? kResourceNotFound : kInvalidParams,
                    read.error().message,
                    {{"uri", clean_line(*uri, 400)}}};
  }
  Json result = read_result(*read);
  if (exchange.era() == Era::stateless) set_freshness(result, read->fresh_for, read->shareable);
  return result;
}

Outcome Service::get_prompt(const Request& request, Exchange& exchange) {
  const auto name = text_at(request.params, "name");
  if (!name) return bad_params("params.name: expected the name of a prompt");
  const std::vector<Prompt> prompts = offer_.library.prompts();
  const auto prompt = std::find_if(prompts.begin(), prompts.end(),
                                   [&](const Prompt& one) { return one.name == *name; });
  if (prompt == prompts.end()) {
    std::vector<std::string> names;
    for (const Prompt& one : prompts) names.push_back(one.name);
    return bad_params("no prompt " + clean_line(*name, 60) + "; prompts: " + join(names, ", "));
  }
  std::map<std::string, std::string> arguments;
  const Json given = request.params.value("arguments", Json::object());
  if (!given.is_object()) return bad_params("params.arguments: expected an object");
  for (const auto& [key, value] : given.items()) {
    if (!value.is_string())
      return bad_params("params.arguments." + clean_line(key, 80) + ": expected a string");
    arguments[key] = value.get<std::string>();
  }
  for (const Prompt::Argument& argument : prompt->arguments) {
    if (argument.required && !arguments.contains(argument.name))
      return bad_params("prompt " + *name + " needs the argument " + argument.name + ": " +
                        argument.description);
  }
  const auto result = offer_.library.prompt(*name, arguments, exchange);
  if (!result) {
    const Error& error = result.error();
    return bad_params(error.message + (error.next.empty() ? "" : "; " + error.next));
  }
  return prompt_result(*result);
}

Outcome Service::complete(const Request& request, Exchange&) {
  const Json argument = request.params.value("argument", Json::object());
  const Json ref = request.params.value("ref", Json::object());
  const auto kind = ref.is_object() ? text_at(ref, "type") : std::nullopt;
  if (kind != "ref/prompt" && kind != "ref/resource")
    return bad_params("params.ref.type: expected ref/prompt or ref/resource");
  const auto name = argument.is_object() ? text_at(argument, "name") : std::nullopt;
  const auto start = argument.is_object() ? text_at(argument, "value") : std::nullopt;
  if (!name || !start) return bad_params("params.argument: expected name and value, both text");
  return complete_result(offer_.library.complete(*name, *start), *start);
}

// ---- news

Outcome Service::listen(const Request& request, Exchange& exchange) {
  const auto filter = read_filter(request.params, offer_.lists_change);
  if (const auto* error = std::get_if<RpcError>(&filter)) return *error;
  const auto& wanted = std::get<ListenFilter>(filter);
  if (!wanted.tasks.empty() && !knows_tasks(exchange.client_capabilities())) return needs_tasks();
  return run_listener(wanted, offer_.changes, tasks_, exchange);
}

}  // namespace rgt::mcp
