// SPDX-License-Identifier: MIT
#include "server/eval.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>

#include "core/base/embedded.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "server/eval_report.h"
#include "server/mcp/http/http_client.h"
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
  if (step.contains("first")) {
    const Json found = structured.value("results", Json::array());
    if (found.empty() || found[0].value("id", "") != step["first"])
      return "expected " + step["first"].get<std::string>() + " first, got " +
             (found.empty() ? "nothing" : found[0].value("id", ""));
  }
  if (step.contains("forms") && step["forms"] != forms.size()) {
    return "expected " + step["forms"].dump() + " forms shown to the user so far, got " +
           std::to_string(forms.size());
  }
  return {};
}

std::string play_step(mcp::Client& client, const Json& step) {
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

// A case of one's own ledger cannot be played against a server that others use: it launches runs.
bool needs_own_ledger(const Json& test) {
  for (const Json& step : test.at("steps")) {
    const std::string tool = step.at("tool");
    if (tool != "lookup" && tool != "audit" && !step.value("is_error", false)) return true;
  }
  return false;
}

std::string play_steps(mcp::Client& client, const Json& test) {
  std::size_t number = 0;
  for (const Json& step : test.at("steps")) {
    ++number;
    const std::string wrong = play_step(client, step);
    if (!wrong.empty())
      return "step " + std::to_string(number) + " (" + step.at("tool").get<std::string>() +
             "): " + wrong;
  }
  return {};
}

// Each case has a server, a ledger and a home of its own: cases cannot lean on one another.
std::string play_alone(const Json& test, const std::string& handbook) {
  const Folder home;
  if (home.path.empty()) return "no temporary folder";
  auto client = mcp::StdioClient::start({{"/proc/self/exe", "serve"},
                                         {{"HOME", home.path.string()},
                                          {"RGT_STATE_DIR", (home.path / "state").string()},
                                          {"RGT_HANDBOOK_DIR", handbook}}});
  return client ? play_steps(**client, test) : client.error().message;
}

std::string play_over_http(const Json& test, const std::string& url) {
  auto client = mcp::HttpClient::to(url);
  return client ? play_steps(**client, test) : client.error().message;
}

CaseResult play_case(const Json& test, const Options& options) {
  CaseResult result;
  result.id = test["id"];
  const auto began = std::chrono::steady_clock::now();
  try {
    result.about = test.value("about", "");
    if (!options.http.empty() && needs_own_ledger(test)) {
      result.why = "needs a ledger of its own";
      return result;
    }
    result.why = options.http.empty() ? play_alone(test, options.handbook)
                                      : play_over_http(test, options.http);
  } catch (const Json::exception& error) {
    result.why = std::string("the case is not as evals/README.md says: ") + error.what();
  }
  result.end = result.why.empty() ? CaseResult::End::pass : CaseResult::End::fail;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return result;
}

// `tell` is called as each case ends, by one thread at a time; the results keep the cases' order.
std::vector<CaseResult> play_cases(const std::vector<Json>& cases, const Options& options,
                                   const std::function<void(const CaseResult&)>& tell) {
  std::vector<CaseResult> results(cases.size());
  std::atomic<std::size_t> next = 0;
  std::mutex telling;
  std::vector<std::jthread> players;
  for (std::size_t i = 0; i < std::min(options.jobs, cases.size()); ++i) {
    players.emplace_back([&] {
      for (std::size_t at = next++; at < cases.size(); at = next++) {
        results[at] = play_case(cases[at], options);
        const std::scoped_lock lock(telling);
        tell(results[at]);
      }
    });
  }
  players.clear();  // waits
  return results;
}

Result<void> add_cases(const std::string& name, std::string_view text, const std::string& filter,
                       std::vector<Json>& cases) {
  std::size_t line_number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++line_number;
    if (trim(line).empty()) continue;
    Json test = Json::parse(line, nullptr, false);
    const bool shaped = test.is_object() && test.contains("id") && test["id"].is_string() &&
                        test.contains("steps") && test["steps"].is_array() &&
                        !test["steps"].empty();
    if (!shaped)
      return Error{Code::invalid_argument,
                   name + ", line " + std::to_string(line_number) + ": no case",
                   "see evals/README.md"};
    if (test["id"].get<std::string>().find(filter) != std::string::npos)
      cases.push_back(std::move(test));
  }
  return {};
}

// Those of the file, or all that are built in, whose id contains the filter.
Result<std::vector<Json>> read_cases(const Options& options) {
  std::vector<Json> cases;
  if (options.file.empty()) {
    for (const EmbeddedFile& file : kEvalCases) {
      if (auto added = add_cases(std::string(file.path), file.text, options.filter, cases); !added)
        return added.error();
    }
    return cases;
  }
  const auto text = read_file(options.file, kCasesLimit);
  if (!text) return text.error();
  if (auto added = add_cases(options.file, *text, options.filter, cases); !added)
    return added.error();
  return cases;
}

}  // namespace

int run_eval(const Options& options) {
  const auto cases = read_cases(options);
  if (!cases) return print_error(cases.error());
  const auto results = play_cases(*cases, options, [&](const CaseResult& result) {
    if (!options.json) std::cout << case_line(result) << std::flush;
  });
  const std::size_t passed = count_ends(results, CaseResult::End::pass);
  const std::size_t failed = count_ends(results, CaseResult::End::fail);
  if (options.json)
    print_json(cases_json(results));
  else
    std::cout << passed << " passed, " << failed << " failed, " << results.size() - passed - failed
              << " skipped\n";
  if (!options.junit.empty()) {
    if (auto written = write_file_atomically(options.junit, cases_junit(results), 0644); !written)
      return print_error(written.error());
  }
  // No case played is no pass.
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace rgt
