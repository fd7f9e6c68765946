// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "core/base/digest.h"
#include "tests/core/box/script_shell.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

bool any_file_holds(const fs::path& folder, const std::string& needle) {
  for (const auto& file : fs::recursive_directory_iterator(folder)) {
    if (!file.is_regular_file() || file.is_symlink()) continue;
    if (slurp(file.path()).find(needle) != std::string::npos) return true;
  }
  return false;
}

bool any_argv_holds(const std::string& needle) {
  std::error_code ignored;
  for (const auto& process : fs::directory_iterator("/proc", ignored)) {
    if (slurp(process.path() / "cmdline").find(needle) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a secret reaches the cell's environment and no file and no command line") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    const std::string value = "s3cret-" + random_hex(16);
    const std::string odd = value + " 'x' \"y\" \\n $(id)\nsecond line ";
    JobSpec job = room.job({cell("a",
                                 "printf %s \"$TOKEN\" | sha256sum >\"$RGT_OUT/sum\"\n"
                                 "printf %s \"$attempt\" | sha256sum >>\"$RGT_OUT/sum\"\n"
                                 "env | grep -c RGT_SECRET >>\"$RGT_OUT/sum\"\n"
                                 "while [ ! -e \"$RGT_OUT/go\" ]; do sleep 0.05; done")});
    job.secret_env = {"TOKEN", "attempt"};  // the second has a name that the scripts use themselves
    const auto report = room.start(job, false, {{"TOKEN", odd}, {"attempt", value}});
    INFO((report ? "" : report.error().message));
    REQUIRE(report.ok());
    const fs::path sum = room.folder(job) / "cells/a/out/sum";
    const std::string expected = sha256_hex(odd) + "  -\n" + sha256_hex(value) + "  -\n0\n";
    CHECK(wait_until([&] { return slurp(sum) == expected; }));
    CHECK_FALSE(any_file_holds(room.root, value));
    CHECK_FALSE(any_argv_holds(value));
    spill(room.folder(job) / "cells/a/out/go", "");
    room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
    CHECK_FALSE(any_file_holds(room.root, value));
  }
}

TEST_CASE("a job whose secret has no value here is not sent at all") {
  Room room;
  JobSpec job = room.job({cell("a", "true")});
  job.secret_env = {"TOKEN"};
  const auto refused = room.start(job);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::invalid_argument);
  CHECK(refused.error().next.find("TOKEN") != std::string::npos);
  CHECK_FALSE(fs::exists(room.folder(job)));
}

TEST_CASE("a resumed cell gets the secrets again") {
  Room room;
  JobSpec job = room.job({cell("a", "[ \"$RGT_ATTEMPT\" = 2 ] && [ \"$TOKEN\" = again ]")});
  job.secret_env = {"TOKEN"};
  REQUIRE(room.start(job, false, {{"TOKEN", "first"}}).ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  REQUIRE(room.start(job, true, {{"TOKEN", "again"}}).ok());
  const RunReading end = room.look_until(
      job, [](const RunReading& r) { return r.supervisor_finished && r.cells.at(0).attempt == 2; });
  CHECK(end.cells[0].marker == CellReading::Marker::done);
}

}  // namespace rgt::test
