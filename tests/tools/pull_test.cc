// SPDX-License-Identifier: MIT
// Pulling and proving, as a user meets it: cuts, a full disk, what is handed on afterwards.
#include <algorithm>
#include <fstream>
#include <thread>

#include <sys/mount.h>

#include "core/artifact/bundle.h"
#include "core/base/digest.h"
#include "tests/boxes/delay_proxy.h"
#include "tests/tools/fault_bench.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

void finish(Workbench& bench, const Json& job) {
  const ToolResult launched = bench.call("launch", job);
  INFO(launched.text);
  REQUIRE(launched.structured.value("started", false));
  bench.wait_for_end(job["job"]["run"]);
}

Json verify(Workbench& bench, const std::string& run, Json more = Json::object()) {
  more["run"] = run;
  const ToolResult result = bench.call("verify_artifacts", more);
  INFO(result.text);
  CHECK(result.text.size() > 20);
  return result.structured;
}

// Shell text that writes a well-formed safetensors file of 4 * COUNT bytes of small F32 values.
std::string write_large(const std::string& name, std::size_t count) {
  const std::string bytes = std::to_string(count * 4);
  return "mkdir -p \"$RGT_OUT\"; { printf '\\200\\0\\0\\0\\0\\0\\0\\0'; printf '%-128s' "
         "'{\"w\":{\"dtype\":\"U8\",\"shape\":[" +
         bytes + "],\"data_offsets\":[0," + bytes + "]}}'; head -c " + bytes +
         " /dev/urandom; } > \"$RGT_OUT/" + name + "\"";
}

std::string put(const std::string& name, const std::string& text) {
  return "mkdir -p \"$RGT_OUT\"; cat > \"$RGT_OUT/" + name + "\" <<'END'\n" + text + "\nEND\n";
}

}  // namespace

TEST_CASE(
    "A first part from another version is not believed: the file is fetched anew, and whole") {
  Workbench bench;
  finish(bench, bench.job("r", {write_large("m.safetensors", 100'000)}, {"m.safetensors"}));
  const fs::path part = bench.folder() / "artifacts/r/.rgt-incoming/c1/m.safetensors";
  fs::create_directories(part.parent_path());
  SECTION("shorter") { std::ofstream(part) << "the beginning of something else"; }
  SECTION("of the same size") { std::ofstream(part) << std::string(400'136, 'x'); }
  SECTION("longer") { std::ofstream(part) << std::string(1'000'000, 'x'); }
  CHECK(verify(bench, "r")["verdict"] == "proven");
  CHECK_FALSE(fs::exists(bench.folder() / "artifacts/r/.rgt-incoming"));
  CHECK(sha256_file(bench.local_copy("r", "c1", "m.safetensors"), {}).value() ==
        sha256_file(bench.run_folder("r") / "cells/c1/out/m.safetensors", {}).value());
}

TEST_CASE("Nothing stands in its place before its digest is the manifest's") {
  Workbench bench;
  finish(bench, bench.job("r", {write_safetensors("m.safetensors")}, {"m.safetensors"}));
  // A link where the file belongs: what arrived must not be written through it.
  fs::create_directories(bench.folder() / "artifacts/r/c1");
  fs::create_symlink(bench.folder() / "elsewhere", bench.local_copy("r", "c1", "m.safetensors"));
  const Json refused = verify(bench, "r");
  CHECK(refused["verdict"] == "refused");
  CHECK_FALSE(fs::exists(bench.folder() / "elsewhere"));
  fs::remove(bench.local_copy("r", "c1", "m.safetensors"));
  CHECK(verify(bench, "r")["verdict"] == "proven");
}

TEST_CASE("Too little room here is said in bytes before anything is pulled") {
  Workbench bench;
  finish(bench, bench.job("r", {write_large("m.safetensors", 500'000)}, {"m.safetensors"}));
  const fs::path small = bench.folder() / "small";
  fs::create_directories(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m") != 0) {
    WARN("skipped: mounting a small tmpfs needs root");
    return;
  }
  const ToolResult full = bench.call("verify_artifacts", {{"run", "r"}, {"into", small.string()}});
  const bool pulled = fs::exists(small / "r");
  ::umount2(small.c_str(), MNT_DETACH);
  INFO(full.text);
  CHECK(full.structured["verdict"] == "io");
  CHECK(full.text.find("2000136 bytes") != std::string::npos);
  CHECK(full.text.find("free at " + small.string()) != std::string::npos);
  CHECK_FALSE(pulled);
}

TEST_CASE("A link that is cut while artifacts come is taken up again within the same call") {
  FaultBench box;
  Json job = box.bench.job("run", {write_large("m.safetensors", 4'000'000)}, {"m.safetensors"});
  finish(box.bench, job);
  DelayProxy proxy(box.sshd.port());
  box.sshd.be_reached_at(proxy.port());
  Workbench& bench = box.bench;
  proxy.set_bytes_per_second(16u << 20);
  std::jthread cutter([&] {
    const auto until = std::chrono::steady_clock::now() + Seconds(60);
    while (proxy.bytes_arrived() < (4u << 20) && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    proxy.cut_once();
  });
  const Json proven = verify(bench, "run");
  cutter.join();
  CHECK(proven["verdict"] == "proven");
  CHECK(proxy.connections() >= 2);
}

TEST_CASE("The results of the cells stand in one table, the best first") {
  Workbench bench;
  Json job = bench.job(
      "sweep",
      {put("metrics.jsonl", "{\"epoch\":1,\"eval_loss\":2.0}\n{\"epoch\":2,\"eval_loss\":1.5}"),
       put("metrics.jsonl", "{\"epoch\":1,\"eval_loss\":1.0}\n{\"epoch\":2,\"eval_loss\":1.25}"),
       put("metrics.jsonl", "{\"epoch\":1,\"temperature\":3}")},
      {"metrics.jsonl"});
  finish(bench, job);
  const ToolResult result = bench.call("verify_artifacts", {{"run", "sweep"}});
  INFO(result.text);
  const Json table = result.structured["metrics"];
  REQUIRE(table.size() == 3);
  CHECK(table[0]["cell"] == "c2");
  CHECK(table[0]["metric"] == "eval_loss");
  CHECK(table[0]["better"] == "lower");
  CHECK(table[0]["best"] == 1.0);
  CHECK(table[0]["at"] == "epoch 1");
  CHECK(table[0]["last"] == 1.25);
  CHECK(table[1]["cell"] == "c1");
  CHECK(table[2]["cell"] == "c3");
  CHECK(table[2]["better"] == "unknown");
  CHECK(result.text.find("c2  eval_loss 1 at epoch 1 (best; lower is better)") !=
        std::string::npos);
  CHECK(result.text.find("which way is better is not known") != std::string::npos);
}

TEST_CASE("A checkpoint that is older than the log's last step loads, and is told to be behind") {
  Workbench bench;
  const std::string data = std::string(RGT_SOURCE_DIR) + "/tests/core/artifact/data/";
  const auto cell = [&](const std::string& file, const std::string& line) {
    return "echo '" + line + "'; cp '" + data + file + "' \"$RGT_OUT/m.ckpt\"";
  };
  // Lightning's holds global_step 3 and epoch 1, the other one only epoch 3.
  finish(bench, bench.job("r",
                          {cell("lightning.ckpt", "epoch 1 step 900 loss 0.25"),
                           cell("lightning.ckpt", "epoch 1 step 3 loss 0.25"),
                           cell("training.pt", "Epoch 9/10 loss 0.5"),
                           cell("training.pt", "Epoch 4/4 loss 0.5"),  // counted from 1
                           cell("training.pt", "no word of any number")},
                          {"m.ckpt"}));
  const ToolResult result = bench.call("verify_artifacts", {{"run", "r"}});
  INFO(result.text);
  CHECK(result.structured["verdict"] == "proven");
  const Json steps = result.structured["steps"];
  REQUIRE(steps.size() == 4);
  for (const auto& [row, behind] :
       std::vector<std::pair<std::size_t, bool>>{{0, true}, {1, false}, {2, true}, {3, false}}) {
    INFO(steps[row].dump());
    CHECK(steps[row]["behind"] == behind);
  }
  CHECK(steps[0]["log"] == "step 900");
  CHECK(steps[0]["checkpoint"] == "step 3");
  CHECK(steps[2]["log"] == "epoch 9");
  CHECK(steps[2]["checkpoint"] == "epoch 3");
  CHECK(result.text.find("behind  c1: its log reached step 900, the newest checkpoint here is of "
                         "step 3 (m.ckpt): what came after would be lost") != std::string::npos);
  CHECK(result.text.find("behind  c2") == std::string::npos);
}

TEST_CASE("What was proven can be handed on: the folder proves itself, without ledger and box") {
  Workbench bench;
  finish(bench, bench.job("r", {write_safetensors("m.safetensors")}, {"m.safetensors"}));
  const fs::path folder = bench.folder() / "artifacts/r";
  fs::create_directories(folder);
  std::ofstream(folder / "mine.txt") << "x";
  const Json proven = verify(bench, "r");
  CHECK(proven["bundle"] == (folder / kBundleName).string());
  CHECK(proven["reconciled"] ==
        Json{{"named", 1}, {"files", 1}, {"on_box", 1}, {"here", 1}, {"only_here", {"mine.txt"}}});
  const fs::path copy = bench.folder() / "handed on";
  fs::copy(folder, copy, fs::copy_options::recursive);
  auto check = check_bundle(copy, {});
  REQUIRE(check);
  REQUIRE(check->reports.size() == 1);
  CHECK(check->reports[0].verdict == ArtifactVerdict::ok);
  CHECK(check->bundle.files[0].reader == check->reports[0].reader);
  CHECK(check->bundle.files[0].depth == depth_name(check->reports[0].depth));
  CHECK(check->unlisted == std::vector<std::string>{"mine.txt"});
}

TEST_CASE("A run that is not proven leaves no list to hand on") {
  Workbench bench;
  finish(bench, bench.job("r", {write_safetensors("m.safetensors")}, {"m.safetensors", "gone.pt"}));
  const Json result = verify(bench, "r");
  CHECK(result["verdict"] == "not_proven");
  CHECK(result["errors"] == 1);
  CHECK_FALSE(result.contains("bundle"));
  CHECK_FALSE(fs::exists(bench.folder() / "artifacts/r" / kBundleName));
}

TEST_CASE("The evidence says what was proven, by which reader, how deep and when") {
  Workbench bench;
  finish(bench, bench.job("r", {write_safetensors("m.safetensors")}, {"m.safetensors"}));
  REQUIRE(verify(bench, "r")["verdict"] == "proven");
  const auto rows = bench.ledger().evidence("r").value();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].path == "m.safetensors");
  CHECK(rows[0].sha256 == sha256_file(bench.local_copy("r", "c1", "m.safetensors"), {}).value());
  CHECK(rows[0].reader.find('/') != std::string::npos);
  CHECK(rows[0].depth == "values");
  CHECK(rows[0].at.time_since_epoch().count() > 0);
  CHECK(Json::parse(rows[0].findings, nullptr, false).is_array());
}

TEST_CASE("A pull tells how much of how much came, how fast, and how long it will take") {
  FaultBench box;
  finish(box.bench,
         box.bench.job("run", {write_large("m.safetensors", 8'000'000)}, {"m.safetensors"}));
  DelayProxy proxy(box.sshd.port());
  box.sshd.be_reached_at(proxy.port());
  proxy.set_bytes_per_second(8u << 20);
  std::vector<std::string> said;
  const ToolResult result =
      box.bench.call_with_progress("verify_artifacts", {{"run", "run"}},
                                   [&](const std::string& message) { said.push_back(message); });
  CHECK(result.structured["verdict"] == "proven");
  CHECK(std::any_of(said.begin(), said.end(), [](const std::string& message) {
    return message.starts_with("pulled ") &&
           message.find(" of 30.5 MiB at ") != std::string::npos &&
           message.find("MiB/s, ") != std::string::npos && message.ends_with(" left");
  }));
}

}  // namespace rgt
