// SPDX-License-Identifier: MIT
#include "server/handbook_library.h"

#include <algorithm>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/profile/frontmatter.h"
#include "tools/recovery.h"

namespace rgt {
namespace {

constexpr std::string_view kRunPrefix = "rgt://runs/";
constexpr std::string_view kEntryPrefix = "rgt://entries/";
// The skill's folder: SKILL.md stands in it, profiles/ and references/ are linked into it.
constexpr std::string_view kSkillFolder = "skill/remote-gpu-trainer/";
constexpr std::string_view kSkillUri = "skill://remote-gpu-trainer/";
// The handbook changes with the program, or when a person edits their own copy.
constexpr Milliseconds kHandbookFreshFor = std::chrono::hours(1);

std::vector<RunRecord> known_runs(const Environment& environment) {
  if (environment.ledger == nullptr) return {};
  auto runs = environment.ledger->runs();
  return runs ? std::move(*runs) : std::vector<RunRecord>{};
}

// Only SKILL.md is listed: the other files are in the skill's entry, and above by their own URIs.
mcp::Resource skill_resource(const mcp::Skill& skill) {
  mcp::Resource resource;
  resource.uri = skill.uri;
  resource.name = skill.frontmatter.value("name", "");
  resource.title = "Agent Skill " + resource.name;
  resource.description = skill.frontmatter.value("description", "");
  for (const mcp::Skill::File& file : skill.files) {
    if (file.uri == skill.uri) resource.size = file.size;
  }
  return resource;
}

mcp::Resource run_resource(const RunRecord& run) {
  mcp::Resource resource;
  resource.uri = std::string(kRunPrefix) + run.run;
  resource.name = run.run;
  resource.title = "Run " + run.run;
  resource.description = "Recovery note of a run on " + run.box + ": where it is and how to go on";
  return resource;
}

// Where a document of the handbook stands in the skill.
std::string in_skill(const Document& document) {
  std::string_view path = document.path;
  if (path.starts_with(kSkillFolder)) path.remove_prefix(kSkillFolder.size());
  return std::string(kSkillUri) + std::string(path);
}

// The handbook as one Agent Skill. None, with a line in the log, if its SKILL.md is no skill: a
// person's own copy of the handbook must not stop the server.
std::vector<mcp::Skill> skills_of(const Handbook& handbook) {
  mcp::Skill skill;
  skill.uri = std::string(kSkillUri) + "SKILL.md";
  for (const Document& document : handbook.documents()) {
    skill.files.push_back({in_skill(document), sha256_hex(document.text), document.text.size()});
    if (skill.files.back().uri != skill.uri) continue;
    auto frontmatter = frontmatter_json(document.path, document.text);
    if (!frontmatter) {
      log::warn(frontmatter.error().message);
      return {};
    }
    skill.frontmatter = std::move(*frontmatter);
  }
  if (skill.frontmatter.value("name", "") != "remote-gpu-trainer") return {};
  return {std::move(skill)};
}

Result<std::string> skill_file(const Handbook& handbook, const std::string& uri) {
  for (const Document& document : handbook.documents()) {
    if (in_skill(document) == uri) return document.text;
  }
  return Error{Code::not_found, "no file " + clean_line(uri, 200) + " in the skill",
               "skills/list names its files"};
}

std::string given(const std::map<std::string, std::string>& arguments, const char* name) {
  const auto found = arguments.find(name);
  return found == arguments.end() ? "" : clean_line(found->second, 200);
}

}  // namespace

bool HandbookLibrary::has_skills() {
  const auto& documents = environment_.handbook.documents();
  return std::any_of(documents.begin(), documents.end(), [](const Document& document) {
    return in_skill(document) == std::string(kSkillUri) + "SKILL.md";
  });
}

std::vector<mcp::Skill> HandbookLibrary::skills() {
  std::call_once(skills_once_, [this] { skills_ = skills_of(environment_.handbook); });
  return skills_;
}

std::vector<mcp::Resource> HandbookLibrary::resources() {
  std::vector<mcp::Resource> list;
  for (const Document& document : environment_.handbook.documents()) {
    mcp::Resource resource;
    resource.uri = document.uri;
    resource.name = document.path;
    resource.title = document.title;
    resource.description = "Handbook: " + document.title;
    resource.size = document.text.size();
    if (!document.modified.empty()) resource.annotations = {{"lastModified", document.modified}};
    list.push_back(std::move(resource));
  }
  for (const mcp::Skill& skill : skills()) list.push_back(skill_resource(skill));
  for (const RunRecord& run : known_runs(environment_)) list.push_back(run_resource(run));
  return list;
}

std::vector<mcp::ResourceTemplate> HandbookLibrary::templates() {
  return {{"rgt://runs/{run}", "run", "Recovery note of a run",
           "Where a run is, how to look at it, what happened last"},
          {"rgt://entries/{entry}", "entry", "One handbook entry",
           "One entry by its id (U7, M2, GEN1): symptom, cause, fix"}};
}

Result<mcp::ReadResult> HandbookLibrary::read(const std::string& uri) {
  const bool is_run = uri.starts_with(kRunPrefix);
  Result<std::string> text = Error{};
  if (is_run) {
    text = recovery_note(environment_, uri.substr(kRunPrefix.size()));
  } else if (uri.starts_with(kEntryPrefix)) {
    const Section* entry = environment_.handbook.find_entry(uri.substr(kEntryPrefix.size()));
    if (entry == nullptr)
      return Error{Code::not_found, "no entry " + clean_line(uri, 100),
                   "the tool lookup finds entries"};
    text = entry->text;
  } else if (uri.starts_with(kSkillUri)) {
    text = skill_file(environment_.handbook, uri);
  } else {
    text = environment_.handbook.read(uri);
  }
  if (!text) return text.error();
  mcp::ReadResult result;
  result.contents.push_back({uri, "text/markdown", std::move(*text), false});
  result.fresh_for = is_run ? Milliseconds(0) : kHandbookFreshFor;
  result.shareable = !is_run;
  return result;
}

std::vector<mcp::Prompt> HandbookLibrary::prompts() {
  return {{"start",
           "Start a training run safely",
           "From an unknown box to a launched, watched run",
           {{"box", "ssh alias, or local", true}, {"goal", "what to train", false}}},
          {"patrol", "Patrol the runs", "One tick for a /loop of about 30 minutes", {}},
          {"takeover", "Take over", "A new session goes on where the last one stopped", {}},
          {"teardown",
           "Give a box back safely",
           "Verify everything, then ask the human",
           {{"box", "the box to give back", true}}}};
}

Result<mcp::PromptResult> HandbookLibrary::prompt(
    const std::string& name, const std::map<std::string, std::string>& arguments, mcp::Context&) {
  auto text = prompt_text(name, arguments);
  if (!text) return text.error();
  for (const mcp::Prompt& prompt : prompts()) {
    if (prompt.name == name) return mcp::user_prompt(prompt.description, *text);
  }
  return mcp::user_prompt("", *text);
}

Result<std::string> HandbookLibrary::prompt_text(
    const std::string& name, const std::map<std::string, std::string>& arguments) {
  const std::string box = given(arguments, "box");
  if ((name == "start" || name == "teardown") && box.empty()) {
    return Error{Code::invalid_argument, "prompt " + name + " needs the argument box",
                 "give an ssh alias, or local"};
  }
  if (name == "start") {
    const std::string goal = given(arguments, "goal");
    return "Start a training run on the box `" + box + "`" +
           (goal.empty() ? "" : " (goal: " + goal + ")") +
           ".\n1. Call audit for it. Tell me its danger clocks and what stop and destroy do to the "
           "data; fix every fail.\n"
           "2. Run a CPU smoke test of the training code locally first.\n"
           "3. Call launch. Name every file that must outlive the box as an artifact; each cell "
           "writes below $RGT_OUT and "
           "loads its latest checkpoint on start.\n"
           "4. Within a minute call probe and show me the first progress line.\n"
           "5. Then set up a patrol: patrol_tick about every 30 minutes, reporting one line even "
           "when nothing changed.";
  }
  if (name == "patrol") {
    return std::string(
        "Call patrol_tick without arguments. Report one line per run, even when nothing changed. "
        "For a run in trouble follow "
        "the step in `next` exactly; never restart anything otherwise. If end_patrol is true, "
        "verify what is not "
        "proven and end this loop.");
  }
  if (name == "takeover") {
    auto note = takeover_note(environment_);
    if (!note) return note.error();
    return "Take over. What the ledger says:\n\n" + *note;
  }
  if (name == "teardown") {
    return "I want to stop paying for the box `" + box +
           "`.\n1. For each run on it call verify_artifacts until it says OK N/N, errors 0.\n"
           "2. Tell me what would be lost.\n3. Call teardown_request for it. I approve by typing "
           "the box's name; you cannot.\n"
           "4. Do not run any stop, release or delete command of the provider yourself.";
  }
  return Error{Code::not_found, "no prompt " + clean_line(name, 60),
               "prompts: start, patrol, takeover, teardown"};
}

std::vector<std::string> HandbookLibrary::complete(const std::string& argument,
                                                   const std::string&) {
  std::vector<std::string> values;
  if (argument == "run") {
    for (const RunRecord& run : known_runs(environment_)) values.push_back(run.run);
  } else if (argument == "box") {
    values.push_back(std::string(kLocalBox));
    for (const RunRecord& run : known_runs(environment_)) values.push_back(run.box);
  } else if (argument == "profile" || argument == "platform") {
    for (const Profile& profile : environment_.handbook.profiles()) values.push_back(profile.name);
  } else if (argument == "entry") {
    for (const Section& section : environment_.handbook.sections()) {
      if (section.is_entry()) values.push_back(section.id);
    }
  }
  return values;
}

}  // namespace rgt
