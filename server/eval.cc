// SPDX-License-Identifier: MIT
#include "server/eval.h"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "core/base/embedded.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "server/mcp/stdio_client.h"
#include "server/print.h"

namespace rgt {

extern const std::span<const EmbeddedFile> kEvalCases;

namespace {

constexpr std::uint64_t kCasesLimit = 16u << 20;
constexpr Seconds kStepPatience(60);   // any tool on the local box answers in far less
constexpr Seconds kUntilPatience(30);  // a step with "until": how long a run of a case may take
constexpr std::size_t kShown = 300;    // bytes of an answer in a complaint

// Every key of `wanted` is in `got` with a matching value; lists match item by item from the start.
bool matches(const Json& wanted, const Json& got) {
  if (wanted.is_object()) {
    if (!got.is_object()) return false;
    for (const auto& [key, value] : wanted.items()) {
      if (!got.contains(key) || !matches(value, got[key])) return false;
    }
    return true;
  }
  if (wanted.is_array()) {
    if (!got.is_array() || got.size() < wanted.size() || (wanted.empty() && !got.empty()))
      return false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!matches(wanted[i], got[i])) return false;
    }
    return true;
  }
  return wanted == got;
}

// What is wrong with one answer of a tool; empty if nothing is.
std::string complaint(const Json& step, const Json& result, const std::vector<Json>& forms) {
  const Json structured = result.value("structuredContent", Json::object());
  const bool is_error = result.value("isError", false);
  const std::string all = result.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (is_error != step.value("is_error", false))
    return is_error ? "is an error: " + all.substr(0, kShown) : "should be an error and is not";
  if (step.contains("expect") && !matches(step["expect"], structured)) {
    return "expected " + step["expect"].dump() + ", got " + structured.dump().substr(0, kShown);
  }
  for (const Json& words : step.value("contains", Json::array())) {
    if (all.find(words.get<std::string>()) == std::string::npos)
      return "does not say \"" + words.get<std::string>() + "\": " + all.substr(0, kShown);
  }
  for (const Json& words : step.value("must_not", Json::array())) {
    if (all.find(words.get<std::string>()) != std::string::npos)
      return "must not say \"" + words.get<std::string>() + "\"";
  }
  for (const Json& id : step.value("cites", Json::array())) {
    bool cited = false;
    for (const Json& reference : structured.value("references", Json::array()))
      cited = cited || reference.value("id", "") == id;
    for (const Json& found : structured.value("results", Json::array()))
      cited = cited || found.value("id", "") == id;
    if (!cited) return "does not cite " + id.get<std::string>();
  }
  if (step.contains("forms") && step["forms"] != forms.size()) {
    return "expected " + step["forms"].dump() + " forms shown to the user so far, got " +
           std::to_string(forms.size());
  }
  return {};
}

std::string play_step(mcp::StdioClient& client, const Json& step) {
  client.set_form_answer(step.value("form", Json{{"action", "decline"}}));
  const Json params{{"name", step.at("tool")},
                    {"arguments", step.value("arguments", Json::object())}};
  const bool until = step.value("until", false);
  const auto deadline = std::chrono::steady_clock::now() + kUntilPatience;
  while (true) {
    const auto result = client.request("tools/call", params, kStepPatience);
    std::string wrong = result ? complaint(step, *result, client.forms()) : result.error().message;
    const bool refused = !result && step.contains("protocol_error");
    if (refused)
      return result.error().message.find(step["protocol_error"].dump()) != std::string::npos
                 ? ""
                 : wrong;
    if (wrong.empty() || !until || std::chrono::steady_clock::now() >= deadline) return wrong;
    std::this_thread::sleep_for(
        Milliseconds(100));  // between two looks at a run that is still going
  }
}

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "rgt-eval-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path path = {};
};

// Each case has a server, a ledger and a home of its own: cases cannot lean on one another.
std::string play_case(const Json& test) {
  const Folder home;
  if (home.path.empty()) return "no temporary folder";
  auto client = mcp::StdioClient::start({{"/proc/self/exe", "serve"},
                                         {{"HOME", home.path.string()},
                                          {"RGT_STATE_DIR", (home.path / "state").string()},
                                          {"RGT_HANDBOOK_DIR", ""}}});
  if (!client) return client.error().message;
  std::size_t number = 0;
  for (const Json& step : test.at("steps")) {
    ++number;
    const std::string wrong = play_step(**client, step);
    if (!wrong.empty())
      return "step " + std::to_string(number) + " (" + step.at("tool").get<std::string>() +
             "): " + wrong;
  }
  return {};
}

Result<std::vector<Json>> read_cases(const std::string& file) {
  std::string text;
  if (file.empty()) {
    text = embedded_text(kEvalCases, "evals/cases.jsonl");
  } else {
    auto read = read_file(file, kCasesLimit);
    if (!read) return read.error();
    text = std::move(*read);
  }
  std::vector<Json> cases;
  std::size_t line_number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++line_number;
    if (trim(line).empty()) continue;
    Json test = Json::parse(line, nullptr, false);
    const bool shaped = test.is_object() && test.contains("id") && test["id"].is_string() &&
                        test.contains("steps") && test["steps"].is_array() &&
                        !test["steps"].empty();
    if (!shaped)
      return Error{Code::invalid_argument, "line " + std::to_string(line_number) + " is no case",
                   "see evals/README.md"};
    cases.push_back(std::move(test));
  }
  return cases;
}

}  // namespace

int run_eval(const Options& options) {
  const auto cases = read_cases(options.file);
  if (!cases) return print_error(cases.error());
  std::size_t passed = 0;
  Json rows = Json::array();
  for (const Json& test : *cases) {
    const std::string id = test["id"].get<std::string>();
    if (id.find(options.filter) == std::string::npos) continue;
    std::string wrong;
    try {
      wrong = play_case(test);
    } catch (const Json::exception& error) {
      wrong = std::string("the case is not as evals/README.md says: ") + error.what();
    }
    passed += wrong.empty();
    rows.push_back({{"id", id}, {"pass", wrong.empty()}, {"why", wrong}});
    if (!options.json)
      std::cout << (wrong.empty() ? "pass  " : "FAIL  ") << id
                << (wrong.empty() ? "" : "\n      " + wrong) << std::endl;
  }
  const std::size_t failed = rows.size() - passed;
  if (options.json)
    print_json({{"passed", passed}, {"failed", failed}, {"cases", std::move(rows)}});
  else
    std::cout << passed << " passed, " << failed << " failed\n";
  // No case played is no pass.
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace rgt
