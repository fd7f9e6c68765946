// SPDX-License-Identifier: MIT
#include "server/options.h"

#include <iostream>

#include <CLI/CLI.hpp>

#include "core/base/text.h"
#include "tools/tool.h"

namespace rgt {
namespace {

// One function per family of commands: the tools, the ledger, the files, the program itself.
void add_tool_commands(CLI::App& app, Options& options) {
  auto* call = app.add_subcommand("call", "call any tool with JSON arguments");
  call->add_option("TOOL", options.tool, "name of the tool")->required();
  call->add_option("ARGUMENTS", options.arguments, "JSON object, or - for standard input");

  auto* audit = app.add_subcommand("audit", "measure a box before money is spent on it");
  audit->add_option("BOX", options.box, "ssh alias, or local")->required();
  audit->add_option("--profile", options.profile, "platform profile");
  audit->add_option("--path", options.paths, "absolute folder to measure too");

  auto* launch =
      app.add_subcommand("launch", "start a job so that it survives disconnects, or resume it");
  launch->add_option("JOB", options.job_file, "job file (JSON), or - for standard input");
  launch->add_option("--resume", options.resume, "run whose failed cells are started again");
  launch->add_option("--run", options.run, "name of a one-cell run; the command stands after --");
  launch->add_option("--box", options.box, "box of a one-cell run");
  launch->add_option("--profile", options.profile, "platform profile");
  launch->add_option("--artifact", options.artifacts,
                     "file below $RGT_OUT that must outlive the box");
  launch->add_option("COMMAND", options.words, "the command of a one-cell run, after --");

  auto* probe = app.add_subcommand("probe", "look at one run in depth");
  probe->add_option("RUN", options.run)->required();
  probe->add_option("--pattern", options.pattern,
                    "RE2 for logs of other shapes, with groups named step, steps, epoch, epochs, "
                    "loss or rate");

  auto* patrol = app.add_subcommand("patrol", "look at every live run, one line each");
  patrol->add_option("RUN", options.run, "only this run");
  auto* watch = patrol->add_flag("--watch", options.watch,
                                 "look again and again: a table on a terminal, else plain lines");
  patrol->add_option("--for", options.watch_for, "how long at most, like 8h; default 12h")
      ->needs(watch);
  patrol->add_option("--every", options.every, "between looks, like 30s; default 15s")
      ->needs(watch);

  auto* wait = app.add_subcommand(
      "wait",
      "wait for one run: exit code 0 it came, 1 it ended without it or stands still, 4 box "
      "unreachable, 5 time is up");
  wait->add_option("RUN", options.run)->required();
  wait->add_option("--until", options.until,
                   "ended (default), done, or RE2 for a line of its logs");
  wait->add_option("--timeout", options.timeout, "how long at most, like 30m; default 1h");
  wait->add_option("--every", options.every, "between looks, like 60s; default 30s");

  auto* verify = app.add_subcommand("verify", "pull a run's artifacts and prove that they load");
  auto* verify_run = verify->add_option("RUN", options.run);
  verify->add_option("--into", options.into, "absolute folder on this machine");
  verify->add_flag("--repull", options.repull, "fetch again what differs from the box");
  verify
      ->add_option("--bundle", options.bundle,
                   "instead: check a folder that was handed on, with no ledger and no box")
      ->excludes(verify_run);

  auto* teardown = app.add_subcommand("teardown", "ask that a box may be given back");
  teardown->add_option("BOX", options.box)->required();
  teardown->add_option("--price-per-hour", options.price_per_hour, "to show what waiting costs");

  auto* lookup = app.add_subcommand("lookup", "what the handbook knows about a symptom");
  lookup->add_option("WORDS", options.words)->required();
  lookup->add_option("--platform", options.platform, "only this profile and the universal entries");
}

void add_ledger_commands(CLI::App& app, Options& options) {
  app.add_subcommand("runs", "all runs in the ledger");
  auto* show = app.add_subcommand("show", "the recovery note of one run");
  show->add_option("RUN", options.run)->required();
  app.add_subcommand("takeover", "what a new session needs to go on from here");
  auto* approve = app.add_subcommand("approve", "approve one teardown, in a person's own terminal");
  approve->add_option("REQUEST", options.request)->required();
  auto* abandon = app.add_subcommand(
      "abandon", "say that nothing of a run must be kept, in a person's own terminal");
  abandon->add_option("RUN", options.run)->required();
}

void add_file_commands(CLI::App& app, Options& options) {
  auto* check = app.add_subcommand("check", "load-verify local files or folders");
  check->add_option("PATH", options.paths)->required();
  check->add_option("--depth", options.depth,
                    "present, digest, structure, checksums, values or resume");
  check->add_flag("--no-digest", options.no_digest, "leave SHA-256 out: several times faster");
  auto* triage = app.add_subcommand("triage", "why did this log end");
  auto* log = triage->add_option("FILE", options.file, "log file, or - for standard input");
  triage->add_option("--exit-code", options.exit_code);
  triage->add_option("--signal", options.signal, "KILL, SIGKILL or 9");
  triage
      ->add_option("--labelled", options.labelled,
                   "file of endings with their right class: print the confusion table")
      ->excludes(log);
}

void add_program_commands(CLI::App& app, Options& options) {
  auto* serve = app.add_subcommand(
      "serve", "be an MCP server: on standard input and output, or with --http on a port");
  auto* http = serve->add_option("--http", options.http,
                                 "ADDRESS:PORT, for instance 127.0.0.1:8722; MCP is at /mcp");
  serve
      ->add_option("--token-file", options.token_file,
                   "file with the bearer token that clients must send; needed beyond loopback")
      ->needs(http);
  serve->add_option("--allow-host", options.hosts, "another name that clients call this machine by")
      ->needs(http);
  serve
      ->add_option("--allow-origin", options.origins,
                   "a web page that may call, for instance https://app.example")
      ->needs(http);
  auto* doctor = app.add_subcommand("doctor", "what is installed, and whether the ledger is whole");
  auto* facts =
      doctor->add_flag("--facts", options.facts, "instead: which facts of the handbook are old");
  doctor->add_option("--max-age", options.max_age, "months that a fact may be old (6)")
      ->needs(facts)
      ->check(CLI::Range(0, 1200));
  auto* note = app.add_subcommand("note", "draft a handbook entry for a person to accept");
  note->add_option("--family", options.family, "letters of its id: U, NET, RP, ...");
  note->add_option("--symptom", options.symptom, "as a person or a log says it")->required();
  note->add_option("--cause", options.cause, "the mechanism")->required();
  note->add_option("--fix", options.fix, "what to do first")->required();
  note->add_option("--check", options.check, "how one sees that it is this")->required();
  note->add_option("--also", options.also, "other words for it");
  note->add_option("--source", options.source, "where it is documented, or how it was measured")
      ->required();
  auto* eval = app.add_subcommand("eval", "play the evaluation cases against a server of our own");
  eval->add_option("FILE", options.file, "cases (JSONL); default: the built-in ones");
  eval->add_option("--filter", options.filter, "only cases whose id contains this");
  eval->add_option("--jobs", options.jobs, "cases at once (1)")->check(CLI::Range(1, 64));
  eval->add_option("--junit", options.junit, "write the results to this file as JUnit XML");
  auto* url = eval->add_option("--http", options.http,
                               "URL of a running server, http://ADDRESS:PORT/mcp: plays the cases "
                               "that need no ledger of their own");
  eval->add_option("--handbook", options.handbook,
                   "folder with skill/, profiles/ and references/ that the servers take")
      ->excludes(url);
}

std::string unknown_command(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.empty() || word[0] == '-') continue;
    const auto near = did_you_mean(word, names);
    return "unknown command \"" + clean_line(word, 60) + "\"; " +
           (near ? "did you mean " + *near + "?" : "commands: " + join(names, ", "));
  }
  return "a command is needed: " + join(names, ", ");
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  CLI::App app("Keeps GPU training on rented boxes safe: audit, launch, patrol, verify, teardown.",
               "rgt");
  Options options;
  app.set_version_flag("--version", std::string("rgt ") + RGT_VERSION);
  app.require_subcommand(0, 1);
  app.prefix_command(false);
  add_tool_commands(app, options);
  add_ledger_commands(app, options);
  add_file_commands(app, options);
  add_program_commands(app, options);
  for (CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    sub->add_flag("--json", options.json, "print exactly the structured result");
  }
  const auto usage = static_cast<int>(Exit::usage);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {std::nullopt, app.exit(error)};
    if (app.get_subcommands().empty())
      std::cerr << "rgt: " << unknown_command(app, argc, argv) << "\n";
    else
      std::cerr << "rgt: " << error.what() << "\nTry: rgt " << app.get_subcommands()[0]->get_name()
                << " --help\n";
    return {std::nullopt, usage};
  }
  if (app.get_subcommands().empty()) {
    std::cerr << "rgt: " << unknown_command(app, argc, argv) << "\nTry: rgt --help\n";
    return {std::nullopt, usage};
  }
  options.command = app.get_subcommands()[0]->get_name();
  return {options, 0};
}

}  // namespace rgt
