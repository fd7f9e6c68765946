// SPDX-License-Identifier: MIT
// House rules that are kept by a machine: includes point downstairs, every source has its licence
// line.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/base/text.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// Which rooms a room may include. A missing room is a mistake of this table and fails too.
const std::map<std::string, std::set<std::string>>& allowed() {
  static const std::map<std::string, std::set<std::string>> table{
      {"core/base", {}},
      {"core/box", {"core/base"}},
      {"core/profile", {"core/base"}},
      {"core/handbook", {"core/profile", "core/base"}},
      {"core/triage", {"core/box", "core/base"}},
      {"core/ledger", {"core/triage", "core/box", "core/base"}},
      {"core/artifact", {"core/base"}},
      {"core/gate", {"core/ledger", "core/box", "core/base"}},
      {"tools",
       {"core/base", "core/box", "core/profile", "core/handbook", "core/triage", "core/ledger",
        "core/artifact", "core/gate"}},
      {"server/mcp", {"core/base", "tools"}},  // of tools only tool.h: see below
      {"server",
       {"server/mcp", "tools", "core/base", "core/box", "core/profile", "core/handbook",
        "core/triage", "core/ledger", "core/artifact", "core/gate"}}};
  return table;
}

std::string room_of(const std::string& path) {
  const auto parts = split(path, '/');
  if (parts.size() > 2) return std::string(parts[0]) + "/" + std::string(parts[1]);
  return std::string(parts[0]);
}

std::vector<fs::path> sources() {
  std::vector<fs::path> files;
  for (const char* storey : {"core", "tools", "server"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(RGT_SOURCE_DIR) / storey)) {
      const auto ending = entry.path().extension();
      if (ending == ".cc" || ending == ".h" || ending == ".sh") files.push_back(entry.path());
    }
  }
  return files;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

}  // namespace

TEST_CASE(
    "Includes point downstairs only: server -> tools -> core, and each room knows its neighbours") {
  std::size_t includes = 0;
  for (const fs::path& path : sources()) {
    const std::string name = fs::relative(path, RGT_SOURCE_DIR).generic_string();
    const std::string room = room_of(name);
    REQUIRE(allowed().contains(room));
    const std::string text = text_of(path);
    for (const std::string_view line : split(text, '\n')) {
      if (!line.starts_with("#include \"")) continue;
      const std::string target(line.substr(10, line.find('"', 10) - 10));
      ++includes;
      INFO(name << " includes " << target);
      CHECK((room_of(target) == room || allowed().at(room).contains(room_of(target))));
      // The protocol links without any tool of ours.
      if (room == "server/mcp" && target.starts_with("tools/")) CHECK(target == "tools/tool.h");
    }
  }
  CHECK(includes > 200);
}

TEST_CASE("Every source begins with its licence line") {
  for (const fs::path& path : sources()) {
    INFO(path);
    const std::string text = text_of(path);
    CHECK((text.starts_with("// SPDX-License-Identifier: MIT\n") ||
           text.starts_with("# SPDX-License-Identifier: MIT\n")));
  }
}

}  // namespace rgt
