// SPDX-License-Identifier: MIT
#include "tests/tools/workbench.h"

#include <thread>

#include <catch2/catch.hpp>

namespace rgt {
namespace {

template <class T>
T must(Result<T> result) {
  INFO((result.ok() ? std::string() : result.error().message));
  REQUIRE(result.ok());
  return std::move(result).value();
}

}  // namespace

Workbench::Workbench(SshSettings settings, std::string box)
    : box_(std::move(box)),
      real_boxes_(make_boxes(std::move(settings), processes_)),
      boxes_(*real_boxes_),
      ledger_(must(Ledger::open(folder_.path() / "state"))),
      handbook_(must(Handbook::load({}))),
      environment_{.clock = clock_,
                   .boxes = boxes_,
                   .handbook = *handbook_,
                   .ledger = ledger_.get(),
                   .artifact_root = folder_.path() / "artifacts",
                   .variable = [](const std::string& name) -> std::optional<std::string> {
                     if (name == "TEST_TOKEN") return "s3cret-value-of-the-token";
                     return std::nullopt;
                   }},
      tools_(catalog(environment_)) {}

ToolResult Workbench::call(const std::string& tool, const Json& arguments,
                           std::function<Answer(const Question&)> ask) {
  for (const Tool& candidate : tools_) {
    if (candidate.card.name != tool) continue;
    const Call call{.now = clock_.now(), .ask = std::move(ask)};
    return candidate.run(arguments, call);
  }
  FAIL("no tool " << tool);
  return {};
}

ToolResult Workbench::call_with_progress(const std::string& tool, const Json& arguments,
                                         std::function<void(const std::string&)> on_progress) {
  for (const Tool& candidate : tools_) {
    if (candidate.card.name != tool) continue;
    Call call{.now = clock_.now()};
    call.progress = [&](double, double, const std::string& message) { on_progress(message); };
    return candidate.run(arguments, call);
  }
  FAIL("no tool " << tool);
  return {};
}

Json Workbench::job(const std::string& run, const std::vector<std::string>& commands,
                    const std::vector<std::string>& artifacts) const {
  Json cells = Json::array();
  for (const std::string& command : commands) {
    cells.push_back({{"name", "c" + std::to_string(cells.size() + 1)},
                     {"command", command},
                     {"artifacts", artifacts}});
  }
  return {{"job",
           {{"run", run},
            {"box", box_},
            {"run_root", (folder_.path() / "box").string()},
            {"parallel", 8},
            {"heartbeat_seconds", 1},
            {"detach", "nohup"},
            {"cells", std::move(cells)}}}};
}

Json Workbench::probe_until(const std::string& run, const std::function<bool(const Json&)>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  Json last;
  while (std::chrono::steady_clock::now() < deadline) {
    const ToolResult result = call("probe", {{"run", run}});
    INFO(result.text);
    REQUIRE_FALSE(result.is_error);
    last = result.structured;
    if (holds(last)) return last;
    std::this_thread::sleep_for(
        std::chrono::milliseconds(50));  // a pause between looks, not a wait
  }
  FAIL("never came true for " << run << ": " << last.dump(1));
  return last;
}

Json Workbench::wait_for_end(const std::string& run) {
  return probe_until(
      run, [&](const Json&) { return ledger_->find_run(run).value()->state == RunState::ended; });
}

std::string write_safetensors(const std::string& name) {
  // Header length 64 as little-endian u64, a 64-byte header, two F32 values (1.0, 2.0).
  return "mkdir -p \"$RGT_OUT\"; { printf '\\100\\0\\0\\0\\0\\0\\0\\0'; "
         "printf '%-64s' '{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}'; "
         "printf '\\0\\0\\200\\077\\0\\0\\0\\100'; } > \"$RGT_OUT/" +
         name + "\"";
}

}  // namespace rgt
