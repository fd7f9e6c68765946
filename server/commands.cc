// SPDX-License-Identifier: MIT
#include "server/commands.h"

#include <unistd.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "core/base/files.h"
#include "core/base/text.h"
#include "server/approve.h"
#include "server/doctor.h"
#include "server/environment.h"
#include "server/eval.h"
#include "server/local_files.h"
#include "server/mcp/schema.h"
#include "server/note.h"
#include "server/print.h"
#include "server/serve.h"
#include "server/signals.h"
#include "server/watch.h"
#include "tools/catalog.h"
#include "tools/recovery.h"

namespace rgt {
namespace {

constexpr std::uint64_t kInputLimit = 4u << 20;  // bytes of a job file or of JSON on standard input

struct ToolCall {
  std::string tool = {};
  Json arguments = Json::object();
};

Result<std::string> read_input(const std::string& name) {
  if (name != "-") return read_file(name, kInputLimit);
  std::string text((std::istreambuf_iterator<char>(std::cin)), {});
  if (text.size() > kInputLimit)
    return Error{Code::limit, "standard input holds more than 4 MiB", "give less"};
  return text;
}

Result<Json> read_json(const std::string& text, const std::string& what) {
  Json json = Json::parse(text, nullptr, false, true);
  if (json.is_object()) return json;
  return Error{Code::invalid_argument, what + " is not a JSON object",
               "write it like {\"run\":\"NAME\"}"};
}

Result<ToolCall> launch_call(const Options& options) {
  if (!options.resume.empty())
    return ToolCall{"launch", {{"run", options.resume}, {"resume", true}}};
  if (!options.run.empty()) {
    // With --run the first positional word belongs to the command.
    std::vector<std::string> words = options.words;
    if (!options.job_file.empty()) words.insert(words.begin(), options.job_file);
    if (words.empty() || options.box.empty()) {
      return Error{Code::invalid_argument, "a one-cell run needs --box and a command",
                   "rgt launch --run NAME --box BOX --artifact FILE -- COMMAND"};
    }
    Json job{{"run", options.run},
             {"box", options.box},
             {"cells", Json::array({{{"name", "main"},
                                     {"command", join(words, " ")},
                                     {"artifacts", options.artifacts}}})}};
    if (!options.profile.empty()) job["profile"] = options.profile;
    return ToolCall{"launch", {{"job", std::move(job)}}};
  }
  if (options.job_file.empty()) {
    return Error{Code::invalid_argument, "nothing to launch",
                 "rgt launch JOB.json, rgt launch --resume RUN, or rgt launch --run NAME --box BOX "
                 "-- COMMAND"};
  }
  const auto text = read_input(options.job_file);
  if (!text) return text.error();
  auto job = read_json(*text, "the job file");
  if (!job) return job.error();
  if (job->contains("job")) return ToolCall{"launch", std::move(*job)};
  return ToolCall{"launch", {{"job", std::move(*job)}}};
}

Result<ToolCall> to_tool_call(const Options& options) {
  const std::string& command = options.command;
  ToolCall call;
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) call.arguments[key] = value;
  };
  if (command == "launch") return launch_call(options);
  if (command == "call") {
    call.tool = options.tool;
    if (options.arguments.empty()) return call;
    const auto text =
        options.arguments == "-" ? read_input("-") : Result<std::string>(options.arguments);
    if (!text) return text.error();
    auto arguments = read_json(*text, "ARGUMENTS");
    if (!arguments) return arguments.error();
    call.arguments = std::move(*arguments);
    return call;
  }
  if (command == "audit") {
    call.tool = "audit";
    set("box", options.box);
    set("profile", options.profile);
    if (!options.paths.empty()) call.arguments["paths"] = options.paths;
  } else if (command == "probe" || command == "patrol") {
    call.tool = command == "probe" ? "probe" : "patrol_tick";
    set("run", options.run);
    set("pattern", options.pattern);
  } else if (command == "verify") {
    if (options.run.empty()) {
      return Error{Code::invalid_argument, "nothing to verify",
                   "rgt verify RUN, or rgt verify --bundle FOLDER"};
    }
    call.tool = "verify_artifacts";
    set("run", options.run);
    set("into", options.into);
    if (options.repull) call.arguments["repull"] = true;
  } else if (command == "teardown") {
    call.tool = "teardown_request";
    set("box", options.box);
    if (options.price_per_hour > 0) call.arguments["price_per_hour"] = options.price_per_hour;
  } else if (command == "lookup") {
    call.tool = "lookup";
    set("query", join(options.words, " "));
    set("platform", options.platform);
  }
  return call;
}

int run_tool(Environment& environment, const Options& options) {
  const auto wanted = to_tool_call(options);
  if (!wanted) return print_error(wanted.error());
  const std::vector<Tool> tools = catalog(environment);
  std::vector<std::string> names;
  for (const Tool& tool : tools) {
    names.push_back(tool.card.name);
    if (tool.card.name != wanted->tool) continue;
    if (const auto wrong = mcp::Schema(tool.card.input_schema).mismatch(wanted->arguments)) {
      return print_error(
          {Code::invalid_argument, *wrong, "correct the arguments of " + tool.card.name});
    }
    const Signals signals;
    Call call{.now = environment.clock.now(), .stop = signals.token()};
    ProgressLine progress(::isatty(STDERR_FILENO) == 1);
    call.progress = [&](double, double, const std::string& message) { progress.show(message); };
    const ToolResult result = tool.run(wanted->arguments, call);
    progress.clear();
    return print_result(result, options.json);
  }
  const auto near = did_you_mean(wanted->tool, names);
  return print_error({Code::not_found, "no tool named \"" + clean_line(wanted->tool, 60) + "\"",
                      near ? "did you mean " + *near + "?" : "tools: " + join(names, ", ")});
}

int show_runs(Environment& environment, bool json) {
  const auto overview = runs_overview(environment);
  if (!overview) return print_error(overview.error());
  if (json) return print_json(*overview);
  if ((*overview)["runs"].empty()) std::cout << "No runs in the ledger.\n";
  for (const Json& run : (*overview)["runs"]) {
    std::cout << run["run"].get<std::string>() << "  " << run["box"].get<std::string>() << "  "
              << run["state"].get<std::string>() << "  " << run["last_summary"].get<std::string>()
              << "\n";
  }
  return 0;
}

int show_note(const Result<std::string>& note, bool json) {
  if (!note) return print_error(note.error());
  if (json) return print_json({{"note", *note}});
  std::cout << *note;
  return 0;
}

}  // namespace

int run_command(const Options& options) {
  if (options.command == "check") return check_files(options);
  if (options.command == "triage") return triage_file(options);
  if (options.command == "verify" && !options.bundle.empty()) return check_bundle_folder(options);
  if (options.command == "eval") return run_eval(options);
  auto world = World::make(options.command == "serve");
  if (!world) return print_error(world.error());
  Environment& environment = (*world)->environment();
  if (options.command == "serve") return serve(environment, options);
  if (options.command == "runs") return show_runs(environment, options.json);
  if (options.command == "show")
    return show_note(recovery_note(environment, options.run), options.json);
  if (options.command == "takeover") return show_note(takeover_note(environment), options.json);
  if (options.command == "approve") return approve_on_terminal(environment, options.request);
  if (options.command == "abandon") return abandon_run_on_terminal(environment, options.run);
  if (options.command == "doctor" && options.facts)
    return doctor_facts(environment, options.max_age, options.json);
  if (options.command == "doctor") return doctor(**world, options.json);
  if (options.command == "note") return draft_note(**world, options);
  if (options.command == "wait") return wait_command(environment, options);
  if (options.command == "patrol" && options.watch) return watch_command(environment, options);
  return run_tool(environment, options);
}

}  // namespace rgt
