// SPDX-License-Identifier: MIT
// The whole story on the local box, and every way around the gate that we could think of.
#include <csignal>
#include <fstream>
#include <thread>

#include <catch2/catch.hpp>

#include "core/base/digest.h"
#include "tests/tools/workbench.h"
#include "tools/teardown_request.h"

namespace rgt {
namespace {

Answer type(const std::string& words) { return {Answer::Kind::given, words, "form:test"}; }

// A run that has ended with one proven artifact in each of its cells.
void finish_and_prove(Workbench& bench, const std::string& run, int cells = 1) {
  const std::vector<std::string> commands(static_cast<std::size_t>(cells),
                                          write_safetensors("m.safetensors"));
  const ToolResult launched = bench.call("launch", bench.job(run, commands, {"m.safetensors"}));
  INFO(launched.text);
  REQUIRE(launched.structured.value("started", false));
  bench.wait_for_end(run);
  const ToolResult verified = bench.call("verify_artifacts", {{"run", run}});
  INFO(verified.text);
  REQUIRE(verified.structured["verdict"] == "proven");
}

void flip_byte(const std::filesystem::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const int byte = file.get();
  REQUIRE(byte != EOF);
  file.seekp(at);
  file.put(static_cast<char>(byte ^ 1));
}

pid_t pid_of(const Workbench& bench, const std::string& run, const std::string& cell) {
  std::ifstream file(bench.run_folder(run) / "cells" / cell / "process");
  std::string all((std::istreambuf_iterator<char>(file)), {});
  pid_t pid = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] >= '0' && all[i] <= '9') {
      pid = static_cast<pid_t>(std::stol(all.substr(i)));
      break;
    }
  }
  return pid;
}

}  // namespace

TEST_CASE("A run goes from audit to an approved teardown, each step telling the next") {
  Workbench bench;
  const ToolResult audited = bench.call("audit", {{"box", "local"}});
  CHECK(audited.structured["checks"].size() >= 6);
  CHECK(audited.structured["next"].back()["tool"] == "launch");

  finish_and_prove(bench, "story", 3);
  const ToolResult verified = bench.call("verify_artifacts", {{"run", "story"}});
  CHECK(verified.text.find("OK 3/3, errors 0") != std::string::npos);
  CHECK(verified.structured["next"][0]["tool"] == "teardown_request");

  std::string asked;
  const ToolResult teardown =
      bench.call("teardown_request", {{"box", "local"}}, [&](const Question& question) {
        asked = question.message;
        return type("local");
      });
  INFO(teardown.text);
  CHECK(teardown.structured["state"] == "done");
  CHECK(asked.find("3 of 3") != std::string::npos);
  const auto records = bench.ledger().teardowns("local").value();
  REQUIRE(records.size() == 1);
  CHECK(records[0].state == RequestState::used);
  CHECK(records[0].approver == "form:test");
  CHECK(bench.ledger().verify_chain().value().intact);
}

TEST_CASE("Launching the same job twice starts it once, another job under the name is refused") {
  Workbench bench;
  const Json job = bench.job("twice", {"sleep 60 & echo $! > child; wait"}, {"x.json"});
  CHECK(bench.call("launch", job).structured["started"] == true);
  const ToolResult again = bench.call("launch", job);
  CHECK(again.structured["started"] == false);
  CHECK(again.exit == Exit::fine);
  const ToolResult other = bench.call("launch", bench.job("twice", {"echo other"}, {"x.json"}));
  CHECK(other.is_error);
  const RunRecord record = *bench.ledger().find_run("twice").value();
  CHECK(other.text.find(record.spec_digest.substr(0, 12)) != std::string::npos);
  bench.probe_until("twice", [](const Json& probe) {
    return probe["cells"][0]["verdict"] == "healthy" || probe["cells"][0]["verdict"] == "starting";
  });
  const pid_t pid = pid_of(bench, "twice", "c1");
  REQUIRE(pid > 1);
  CHECK(::kill(-pid, SIGKILL) == 0);
  bench.wait_for_end("twice");
}

TEST_CASE("Two launches at once start one run") {
  Workbench bench;
  const Json job =
      bench.job("race", {"echo attempt $RGT_ATTEMPT >> \"$RGT_OUT/../../../starts\""}, {"x.json"});
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { (void)bench.call("launch", job); });
  threads.clear();
  bench.wait_for_end("race");
  std::ifstream starts(bench.run_folder("race") / "starts");
  CHECK(std::count(std::istreambuf_iterator<char>(starts), {}, '\n') == 1);
}

TEST_CASE("A killed cell is named with its signal, and resume starts only that cell again") {
  Workbench bench;
  const std::string trains =
      "test \"$RGT_ATTEMPT\" -gt 1 || { echo epoch 1 step 10 loss 0.5; sleep 60; }; " +
      write_safetensors("m.safetensors");
  REQUIRE(bench
              .call("launch", bench.job("killed", {write_safetensors("m.safetensors"), trains},
                                        {"m.safetensors"}))
              .structured["started"] == true);
  bench.probe_until("killed",
                    [](const Json& probe) { return probe["cells"][0]["verdict"] == "done"; });
  const pid_t pid = pid_of(bench, "killed", "c2");
  REQUIRE(pid > 1);
  REQUIRE(::kill(-pid, SIGKILL) == 0);
  const Json probe = bench.probe_until(
      "killed", [](const Json& seen) { return seen["cells"][1]["verdict"] == "crashed"; });
  CHECK(probe["cells"][1]["why"].get<std::string>().find("9") != std::string::npos);
  CHECK(probe["cells"][1].contains("failure_class"));

  const ToolResult tick = bench.call("patrol_tick", Json::object());
  CHECK(tick.exit == Exit::attention);
  CHECK(tick.structured["recorded"] == true);

  const ToolResult resumed = bench.call("launch", {{"run", "killed"}, {"resume", true}});
  INFO(resumed.text);
  CHECK(resumed.structured["cells_started"] == Json::array({"c2"}));
  bench.probe_until("killed", [](const Json& seen) { return seen["verdict"] == "done"; });
  CHECK(bench.call("verify_artifacts", {{"run", "killed"}}).structured["ok"] == 2);
}

TEST_CASE("A tick reports a line even when nothing changed, and says when to end") {
  Workbench bench;
  CHECK(bench.call("patrol_tick", Json::object()).structured["end_patrol"] == true);
  finish_and_prove(bench, "quiet");
  const ToolResult first = bench.call("patrol_tick", Json::object());
  const ToolResult second = bench.call("patrol_tick", Json::object());
  CHECK(second.structured["runs"].size() == 1);
  CHECK(second.structured["runs"][0]["changed"] == false);
  CHECK(second.structured["end_patrol"] == true);
  CHECK(second.text.find("quiet") != std::string::npos);
}

TEST_CASE("An unreachable box is reported as such, never as dead, and its run is kept") {
  Workbench bench;
  REQUIRE(bench.call("launch", bench.job("cut", {"sleep 60"}, {"x.json"})).structured["started"] ==
          true);
  const auto kill_it = [&] {
    const pid_t pid = pid_of(bench, "cut", "c1");
    if (pid > 1) ::kill(-pid, SIGKILL);
  };
  bench.probe_until("cut",
                    [](const Json& probe) { return probe["cells"][0]["verdict"] != "queued"; });
  bench.boxes().fail_with(
      {Code::unreachable, "no answer from local within 10 s", "check the console"});
  const ToolResult tick = bench.call("patrol_tick", Json::object());
  CHECK(tick.structured["runs"][0]["verdict"] == "unreachable");
  CHECK(tick.structured["end_patrol"] == false);
  CHECK(tick.exit == Exit::unreachable);
  const ToolResult teardown = bench.call("teardown_request", {{"box", "local"}},
                                         [](const Question&) { return type("local"); });
  CHECK(teardown.structured["state"] == "blocked");
  bench.boxes().heal();
  CHECK(bench.call("patrol_tick", Json::object()).structured["runs"][0]["verdict"] !=
        "unreachable");
  kill_it();
  bench.wait_for_end("cut");
}

TEST_CASE(
    "A flipped byte of a pulled artifact is caught, and only an asked-for re-pull replaces it") {
  Workbench bench;
  finish_and_prove(bench, "flip");
  const auto local = bench.local_copy("flip", "c1", "m.safetensors");
  const auto before = std::filesystem::last_write_time(local);
  flip_byte(local, 75);
  std::filesystem::last_write_time(local, before);  // same size, same mtime: only the bytes differ
  const ToolResult caught = bench.call("verify_artifacts", {{"run", "flip"}});
  CHECK(caught.structured["verdict"] == "not_proven");
  CHECK(caught.structured["artifacts"][0]["verdict"] == "digest_mismatch");
  CHECK(caught.structured["next"][0]["arguments"]["repull"] == true);
  CHECK(bench.call("verify_artifacts", {{"run", "flip"}, {"repull", true}}).structured["verdict"] ==
        "proven");
}

TEST_CASE("Nothing short of proof and a typed name opens the gate") {
  Workbench bench;
  int asked = 0;
  const auto ask = [&](const std::string& words) {
    return [&asked, words](const Question&) {
      ++asked;
      return type(words);
    };
  };
  const auto state = [&](const std::string& typed) {
    return bench.call("teardown_request", {{"box", "local"}}, ask(typed))
        .structured["state"]
        .get<std::string>();
  };

  SECTION("a box that the ledger knows nothing of") { CHECK(state("local") == "blocked"); }
  SECTION("a run that is not verified") {
    REQUIRE(
        bench
            .call("launch", bench.job("r", {write_safetensors("m.safetensors")}, {"m.safetensors"}))
            .structured["started"] == true);
    bench.wait_for_end("r");
    CHECK(state("local") == "blocked");
  }
  SECTION("a run without any expected artifact") {
    REQUIRE(bench.call("launch", bench.job("r", {"true"}, {})).structured["started"] == true);
    bench.wait_for_end("r");
    CHECK(bench.call("verify_artifacts", {{"run", "r"}}).structured["verdict"] ==
          "nothing_expected");
    CHECK(state("local") == "blocked");
  }
  SECTION("an artifact that is missing on the box") {
    REQUIRE(bench
                .call("launch", bench.job("r", {write_safetensors("m.safetensors")},
                                          {"m.safetensors", "other.pt"}))
                .structured["started"] == true);
    bench.wait_for_end("r");
    CHECK(bench.call("verify_artifacts", {{"run", "r"}}).structured["errors"] == 1);
    CHECK(state("local") == "blocked");
  }
  SECTION("a file that nobody can prove") {
    REQUIRE(
        bench.call("launch", bench.job("r", {"echo hello > \"$RGT_OUT/blob.dat\""}, {"blob.dat"}))
            .structured["started"] == true);
    bench.wait_for_end("r");
    CHECK(bench.call("verify_artifacts", {{"run", "r"}}).structured["artifacts"][0]["verdict"] ==
          "unverified");
    CHECK(state("local") == "blocked");
  }
  SECTION("a local copy that changed after verification, same size and mtime") {
    finish_and_prove(bench, "r");
    const auto local = bench.local_copy("r", "c1", "m.safetensors");
    const auto before = std::filesystem::last_write_time(local);
    flip_byte(local, 76);
    std::filesystem::last_write_time(local, before);
    CHECK(state("local") == "blocked");
  }
  SECTION("a local copy that was deleted") {
    finish_and_prove(bench, "r");
    std::filesystem::remove(bench.local_copy("r", "c1", "m.safetensors"));
    CHECK(state("local") == "blocked");
  }
  SECTION("an artifact that changed on the box after verification") {
    finish_and_prove(bench, "r");
    flip_byte(bench.run_folder("r") / "cells" / "c1" / "out" / "m.safetensors", 76);
    CHECK(state("local") == "blocked");
  }
  SECTION("a run folder on the box that this ledger does not know") {
    finish_and_prove(bench, "r");
    std::filesystem::create_directories(bench.folder() / "box" / "somebody-elses");
    CHECK(state("local") == "blocked");
  }
  CHECK(asked == 0);  // without evidence the human is not even bothered
}

TEST_CASE("With all evidence, everything but the box's typed name is no approval") {
  Workbench bench;
  finish_and_prove(bench, "r");
  const auto answer_with = [&](Answer answer) {
    return bench
        .call("teardown_request", {{"box", "local"}}, [answer](const Question&) { return answer; })
        .structured;
  };
  CHECK(answer_with(type(""))["state"] == "waiting");
  CHECK(answer_with(type("yes"))["state"] == "waiting");
  CHECK(answer_with(type("true"))["state"] == "waiting");
  CHECK(answer_with(type("Local"))["state"] == "waiting");
  CHECK(answer_with({Answer::Kind::unavailable, "", ""})["state"] == "waiting");
  CHECK(answer_with({Answer::Kind::cancelled, "local", ""})["state"] == "waiting");
  const Json waiting = bench.call("teardown_request", {{"box", "local"}}).structured;
  CHECK(waiting["state"] == "waiting");
  CHECK(waiting["next"][0]["say"].get<std::string>().find("rgt approve td-") != std::string::npos);
  for (const TeardownRecord& record : bench.ledger().teardowns("local").value()) {
    CHECK(record.state == RequestState::waiting);
  }
  CHECK(answer_with({Answer::Kind::declined, "local", ""})["state"] == "denied");
}

TEST_CASE("An approval on the terminal dies with the evidence it was given for") {
  Workbench bench;
  finish_and_prove(bench, "r");
  const std::string request =
      bench.call("teardown_request", {{"box", "local"}}).structured["request"];
  const Call call{.now = bench.clock().now()};
  const auto question = approval_question(bench.environment(), request, call);
  REQUIRE(question);
  CHECK(question->text.find("1 of 1") != std::string::npos);
  CHECK(answer_on_terminal(bench.environment(), *question, "no", "terminal:me", call).is_error);
  flip_byte(bench.local_copy("r", "c1", "m.safetensors"), 76);
  // The right words, but between question and answer a byte changed: nothing is handed over.
  const ToolResult late =
      answer_on_terminal(bench.environment(), *question, "local", "terminal:me", call);
  CHECK(late.structured["state"] == "blocked");
  CHECK(bench.ledger().find_teardown(request).value()->state == RequestState::approved);
  CHECK_FALSE(approval_question(bench.environment(), "td-000000000000", call).ok());
}

TEST_CASE("An approval expires after fifteen minutes") {
  Workbench bench;
  finish_and_prove(bench, "r");
  const std::string request =
      bench.call("teardown_request", {{"box", "local"}}).structured["request"];
  const TeardownRecord record = *bench.ledger().find_teardown(request).value();
  REQUIRE(bench.ledger().approve(request, record.evidence_digest, "terminal", "me",
                                 kApprovalLifetime, bench.clock().now()));
  bench.clock().offset = std::chrono::minutes(16);
  const ToolResult late = bench.call("teardown_request", {{"box", "local"}});
  CHECK(late.structured["state"] == "waiting");
  CHECK(late.structured["request"] != request);
}

TEST_CASE("A secret reaches the cell and nothing else") {
  Workbench bench;
  Json job = bench.job(
      "secret",
      {"test \"$(printf %s \"$TEST_TOKEN\" | sha256sum | cut -c1-64)\" = " +
       sha256_hex("s3cret-value-of-the-token") + " && " + write_safetensors("m.safetensors")},
      {"m.safetensors"});
  job["job"]["secret_env"] = {"TEST_TOKEN"};
  const ToolResult launched = bench.call("launch", job);
  INFO(launched.text);
  REQUIRE(launched.structured["started"] == true);
  CHECK(bench.wait_for_end("secret")["verdict"] == "done");
  for (const auto& file : std::filesystem::recursive_directory_iterator(bench.folder())) {
    if (!file.is_regular_file()) continue;
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
    INFO(file.path());
    CHECK(bytes.find("s3cret-value") == std::string::npos);
  }
  job["job"]["run"] = "secret2";
  job["job"]["secret_env"] = {"NOT_SET_ANYWHERE"};
  const ToolResult unset = bench.call("launch", job);
  CHECK(unset.is_error);
  CHECK(unset.text.find("NOT_SET_ANYWHERE") != std::string::npos);
}

}  // namespace rgt
