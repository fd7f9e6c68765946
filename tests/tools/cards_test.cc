// SPDX-License-Identifier: MIT
// Each tool's card is kept as a file, so that it changes on purpose or not at all.
#include <cstdlib>
#include <set>

#include <catch2/catch.hpp>

#include "core/base/files.h"
#include "core/base/text.h"
#include "tests/tools/workbench.h"

namespace rgt {
namespace {

Json card_to_json(const Card& card) {
  return {{"name", card.name},
          {"title", card.title},
          {"description", card.description},
          {"inputSchema", card.input_schema},
          {"outputSchema", card.output_schema},
          {"annotations",
           {{"readOnlyHint", card.annotations.read_only},
            {"destructiveHint", card.annotations.destructive},
            {"idempotentHint", card.annotations.idempotent},
            {"openWorldHint", card.annotations.open_world}}}};
}

}  // namespace

TEST_CASE("Tool cards change on purpose only (RGT_UPDATE_CARDS=1 rewrites the snapshots)") {
  Workbench bench;
  const std::filesystem::path folder =
      std::filesystem::path(RGT_SOURCE_DIR) / "tests" / "tools" / "cards";
  for (const Tool& tool : catalog(bench.environment())) {
    const auto path = folder / (tool.card.name + ".json");
    const std::string now = card_to_json(tool.card).dump(2) + "\n";
    if (std::getenv("RGT_UPDATE_CARDS") != nullptr) REQUIRE(write_file_atomically(path, now, 0644));
    INFO(path);
    CHECK(read_file(path, 100000).value() == now);
  }
}

TEST_CASE("All seven tools are there in the order of the phases, and cheap to list") {
  Workbench bench;
  std::vector<std::string> names;
  std::size_t bytes = 0;
  for (const Tool& tool : catalog(bench.environment())) {
    names.push_back(tool.card.name);
    bytes += card_to_json(tool.card).dump().size();
    CHECK(tool.card.description.size() < 1000);
    CHECK(tool.card.input_schema["type"] == "object");
    CHECK(tool.card.input_schema["additionalProperties"] == false);
    CHECK(tool.card.output_schema["type"] == "object");
  }
  CHECK(names == std::vector<std::string>{"audit", "launch", "probe", "patrol_tick",
                                          "verify_artifacts", "teardown_request", "lookup"});
  CHECK(bytes <= 10240);  // agents pay for it in every session
}

TEST_CASE(
    "Only what writes nothing anywhere claims to be read only; the teardown is marked "
    "destructive") {
  Workbench bench;
  for (const Tool& tool : catalog(bench.environment())) {
    const bool reads_only = tool.card.name == "lookup" || tool.card.name == "audit";
    CHECK(tool.card.annotations.read_only == reads_only);
    CHECK(tool.card.annotations.destructive == (tool.card.name == "teardown_request"));
  }
}

}  // namespace rgt
