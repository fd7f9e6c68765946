// SPDX-License-Identifier: MIT
#include "core/box/manifest.h"

#include <signal.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "core/base/digest.h"
#include "tests/core/box/script_shell.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

Manifest take(Room& room, const JobSpec& job) {
  auto manifest = take_manifest(room.shell, room.folder(job), job, Seconds(60), {});
  INFO((manifest ? "" : manifest.error().message));
  REQUIRE(manifest.ok());
  return *manifest;
}

std::vector<std::string> paths(const Manifest& manifest) {
  std::vector<std::string> list;
  for (const ManifestEntry& entry : manifest.entries) list.push_back(entry.path);
  return list;
}

}  // namespace

TEST_CASE("a box with nothing but busybox starts, is looked at and proves its files") {
  const fs::path busybox = "/usr/bin/busybox";
  if (!fs::exists(busybox)) {
    WARN("skipped: no busybox here");
    return;
  }
  Room room("busybox");
  const fs::path applets = room.root / "applets";
  fs::create_directories(applets);
  REQUIRE(std::system((busybox.string() + " --install -s '" + applets.string() + "'").c_str()) ==
          0);
  room.shell = ScriptShell("busybox", applets, room.root);
  JobSpec job = room.job({cell("a",
                               "echo step 1; sleep 0.2; mkdir -p \"$RGT_OUT/steps\"; "
                               "echo weights >\"$RGT_OUT/steps/m.bin\"; echo step 2",
                               {"steps", "absent"})});
  const auto started = room.start(job);
  INFO((started ? "" : started.error().message));
  REQUIRE(started.ok());
  const RunReading ended =
      room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  REQUIRE(ended.cells.size() == 1);
  CHECK(ended.cells[0].marker == CellReading::Marker::done);
  CHECK(ended.cells[0].log_bytes == "step 1\nstep 2\n");
  CHECK(ended.cells[0].artifacts_present == 1);
  CHECK(ended.disk_total_bytes > 0);
  CHECK_FALSE(ended.heartbeats.empty());
  const LogPosition seen{"a", ended.cells[0].log_inode, 7};
  CHECK(room.look_at(job, {seen}).cells.at(0).log_size == 14);
  const Manifest manifest = take(room, job);
  REQUIRE(paths(manifest) == std::vector<std::string>{"steps/m.bin", "absent"});
  CHECK(manifest.entries[0].sha256 == sha256_hex("weights\n"));
  CHECK_FALSE(manifest.entries[1].present);
}

TEST_CASE(
    "the manifest lists every expected file with its digest, and what is missing as missing") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    const std::string odd = "it's \"odd\" \\ $x\nend\nname ";
    JobSpec job = room.job({cell("a", "true", {"model.bin", odd, "steps", "empty", "absent"}),
                            cell("b", "true", {"-leading-dash", "* glob"})});
    job.cells[1].write_path = room.root / "elsewhere";
    REQUIRE(room.start(job).ok());
    room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
    const fs::path out = room.folder(job) / "cells/a/out";
    spill(out / "model.bin", "weights");
    spill(out / odd, "odd");
    spill(out / "steps/2/x.pt", "two");
    spill(out / "steps/1/line\nfeed.pt", "one");
    spill(out / "steps/.hidden", "");
    fs::create_directories(out / "empty");
    spill(out / "best.safetensors", "nobody asked for it");
    spill(room.root / "elsewhere/-leading-dash", "dash");
    spill(room.root / "elsewhere/* glob", "star");
    const Manifest manifest = take(room, job);
    CHECK(manifest.run == job.run);
    CHECK_FALSE(manifest.run_live);
    CHECK(paths(manifest) ==
          std::vector<std::string>{"model.bin", odd, "steps/.hidden", "steps/1/line\nfeed.pt",
                                   "steps/2/x.pt", "empty", "absent", "-leading-dash", "* glob"});
    CHECK(manifest.entries[0].cell == "a");
    CHECK(manifest.entries[0].present);
    CHECK(manifest.entries[0].size == 7);
    CHECK(manifest.entries[0].sha256 == sha256_hex("weights"));
    CHECK(manifest.entries[0].mtime > 1700000000);
    CHECK(manifest.entries[1].sha256 == sha256_hex("odd"));
    CHECK(manifest.entries[3].sha256 == sha256_hex("one"));
    CHECK_FALSE(manifest.entries[5].present);
    CHECK_FALSE(manifest.entries[6].present);
    CHECK(manifest.entries[8].cell == "b");
    CHECK(manifest.entries[8].sha256 == sha256_hex("star"));
    CHECK(manifest.unexpected == std::vector<std::string>{"a/best.safetensors"});
    CHECK_FALSE(manifest.unexpected_truncated);
  }
}

TEST_CASE(
    "a file behind a link out of the write path is not counted as there, for no pull gets it") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    JobSpec job = room.job({cell("a", "true", {"best.pt", "inside.pt", "steps", "nowhere.pt"})});
    REQUIRE(room.start(job).ok());
    room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
    const fs::path out = room.folder(job) / "cells/a/out";
    spill(room.root / "elsewhere/best.pt", "weights");
    spill(out / "real.pt", "x");
    fs::create_symlink(room.root / "elsewhere/best.pt", out / "best.pt");
    fs::create_symlink("real.pt", out / "inside.pt");
    fs::create_directory_symlink(room.root / "elsewhere", out / "steps");
    fs::create_symlink("/nowhere/at/all", out / "nowhere.pt");
    const Manifest manifest = take(room, job);
    REQUIRE(paths(manifest) ==
            std::vector<std::string>{"best.pt", "inside.pt", "steps/best.pt", "nowhere.pt"});
    const std::string outside = fs::canonical(room.root / "elsewhere/best.pt");
    CHECK_FALSE(manifest.entries[0].present);
    CHECK(manifest.entries[0].leads_to == outside);
    CHECK(manifest.entries[1].present);
    CHECK(manifest.entries[1].sha256 == sha256_hex("x"));
    CHECK_FALSE(manifest.entries[2].present);
    CHECK(manifest.entries[2].leads_to == outside);
    CHECK_FALSE(manifest.entries[3].present);
    CHECK(manifest.entries[3].leads_to.empty());
  }
}

TEST_CASE("more than a hundred unexpected checkpoints are cut, and it is said") {
  Room room;
  JobSpec job = room.job({cell("a", "true", {"wanted.pt"})});
  REQUIRE(room.start(job).ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  for (int i = 0; i < 150; ++i) {
    spill(room.folder(job) / "cells/a/out" / (std::to_string(i) + ".pt"), "x");
  }
  const Manifest manifest = take(room, job);
  CHECK(manifest.unexpected.size() == 100);
  CHECK(manifest.unexpected_truncated);
}

TEST_CASE("a manifest taken while a process of the run lives says so") {
  Room room;
  JobSpec job = room.job({cell("a", "sleep 1000", {"x"})});
  REQUIRE(room.start(job).ok());
  const RunReading reading =
      room.look_until(job, [](const RunReading& r) { return r.cells.at(0).process.pid > 0; });
  CHECK(take(room, job).run_live);
  kill(static_cast<pid_t>(-reading.cells[0].process.pid), SIGKILL);
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  CHECK_FALSE(take(room, job).run_live);
}

TEST_CASE("a process that an ended cell left behind makes the run live") {
  Room room;
  JobSpec job = room.job({cell("a", "sleep 1000 & echo $! >\"$RGT_OUT/child\"", {"child"})});
  REQUIRE(room.start(job).ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  CHECK(take(room, job).run_live);
  const long child = std::stol(slurp(room.folder(job) / "cells/a/out/child"));
  kill(static_cast<pid_t>(child), SIGKILL);
  REQUIRE(wait_until([&] { return start_time_of(child).empty(); }));
  CHECK_FALSE(take(room, job).run_live);
}

TEST_CASE("a manifest that was cut goes on: what was hashed is not hashed again, what changed is") {
  for (const std::string& interpreter : interpreters()) {
    INFO(interpreter);
    Room room(interpreter);
    JobSpec job = room.job({cell("a", "true", {"steps"})});
    REQUIRE(room.start(job).ok());
    room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
    const fs::path steps = room.folder(job) / "cells/a/out/steps";
    for (int i = 0; i < 200; ++i) spill(steps / std::to_string(i), "bytes of " + std::to_string(i));
    // A sha256sum that notes what it is asked for, and ends the whole script on its third call.
    const fs::path tools = room.root / "counting";
    const fs::path asked = room.root / "asked";
    spill(tools / "sha256sum",
          "#!/bin/sh\nfor name; do [ \"$name\" = -- ] || echo \"$name\" >>'" + asked.string() +
              "'; done\necho call >>'" + asked.string() + ".calls'\nif [ -e '" + asked.string() +
              ".cut' ] && [ \"$(wc -l <'" + asked.string() +
              ".calls')\" -ge 3 ]; then kill -KILL 0; fi\nexec /usr/bin/sha256sum \"$@\"\n");
    fs::permissions(tools / "sha256sum", fs::perms::owner_all);
    ScriptShell counting(room.interpreter, tools.string() + ":" + room.path, room.root);
    const auto lines = [&] {
      const std::string text = slurp(asked);
      fs::remove(asked);
      return std::count(text.begin(), text.end(), '\n');
    };
    const auto take_again = [&] {
      auto manifest = take_manifest(counting, room.folder(job), job, Seconds(60), {});
      INFO((manifest ? "" : manifest.error().message));
      REQUIRE(manifest.ok());
      REQUIRE(manifest->entries.size() == 200);
      for (const ManifestEntry& entry : manifest->entries)
        CHECK(entry.sha256 == sha256_hex(slurp(room.folder(job) / "cells/a/out" / entry.path)));
    };
    spill(asked.string() + ".cut", "");
    CHECK_FALSE(take_manifest(counting, room.folder(job), job, Seconds(60), {}).ok());
    fs::remove(asked.string() + ".cut");
    CHECK(lines() >= 64);
    take_again();
    CHECK(lines() <= 200 - 64);  // the first batch was whole before the third began
    take_again();
    CHECK(lines() == 0);
    // Other bytes, the same size and the same time.
    const auto time = fs::last_write_time(steps / "7");
    spill(steps / "7", "bytes oF 7");
    fs::last_write_time(steps / "7", time);
    take_again();
    CHECK(lines() == 1);
    // What is kept may be cut or damaged: then it is hashed, not believed.
    spill(room.folder(job) / "rgt/hashes", slurp(room.folder(job) / "rgt/hashes").substr(0, 1000));
    take_again();
    CHECK(lines() >= 150);
  }
}

TEST_CASE("checkpoints elsewhere that would be lost are named, and other runs' and old ones not") {
  Room room;
  JobSpec job = room.job({cell("a", "true", {"wanted.pt"})});
  spill(room.root / "home/old.pt", std::string(100'000, 'o'));
  fs::last_write_time(room.root / "home/old.pt",
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  REQUIRE(room.start(job).ok());
  room.look_until(job, [](const RunReading& r) { return r.supervisor_finished; });
  const auto later = fs::file_time_type::clock::now() + std::chrono::seconds(2);
  for (const fs::path& path :
       {room.root / "home/new line\n.pt", room.root / "home/small.pt", room.root / "home/notes.txt",
        room.folder(job) / "cells/a/out/wanted.pt", room.runs / "other/cells/a/out/theirs.pt"}) {
    spill(path, std::string(path.filename() == "small.pt" ? 10 : 100'000, 'x'));
    fs::last_write_time(path, later);
  }
  const auto manifest =
      take_manifest(room.shell, room.folder(job), job, Seconds(60), {},
                    {(room.root / "home").string(), room.runs.string(), "/nowhere/at/all"});
  INFO((manifest ? "" : manifest.error().message));
  REQUIRE(manifest.ok());
  CHECK(manifest->unexpected ==
        std::vector<std::string>{(room.root / "home/new line .pt").string()});
}

TEST_CASE("the manifest's digest ignores order and notices every other change") {
  Manifest manifest;
  manifest.entries = {{"a", "x", true, 1, std::string(64, 'a'), 5},
                      {"a", "y", true, 2, std::string(64, 'b'), 6}};
  Manifest turned = manifest;
  std::swap(turned.entries[0], turned.entries[1]);
  CHECK(manifest_digest(turned) == manifest_digest(manifest));
  Manifest changed = manifest;
  changed.entries[0].size = 2;
  CHECK(manifest_digest(changed) != manifest_digest(manifest));
  changed = manifest;
  changed.entries[1].present = false;
  CHECK(manifest_digest(changed) != manifest_digest(manifest));
  changed = manifest;
  changed.entries.pop_back();
  CHECK(manifest_digest(changed) != manifest_digest(manifest));
}

}  // namespace rgt::test
