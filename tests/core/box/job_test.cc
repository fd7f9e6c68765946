// SPDX-License-Identifier: MIT
#include "core/box/job.h"

#include <catch2/catch.hpp>

namespace rgt {
namespace {

const std::string kJob = R"({"run":"lora","box":"h100","cells":[
  {"name":"a","command":"python a.py","env":{"SEED":"1"},"artifacts":["final/","metrics.json"]},
  {"name":"b","command":"python b.py","write_path":"/data/b/"}]})";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kJob;
  text.replace(text.find(from), from.size(), to);
  return text;
}

void refused(const std::string& json, const std::string& words,
             Code code = Code::invalid_argument) {
  const auto job = parse_job(json);
  INFO(json.substr(0, 400));
  REQUIRE_FALSE(job.ok());
  INFO(job.error().message);
  CHECK(job.error().code == code);
  CHECK(job.error().message.find(words) != std::string::npos);
  CHECK_FALSE(job.error().next.empty());
}

}  // namespace

TEST_CASE("a job is read, with its defaults filled in") {
  const auto job = parse_job(kJob);
  INFO((job ? "" : job.error().message));
  REQUIRE(job.ok());
  CHECK(job->run == "lora");
  CHECK(job->profile == "generic-ssh");
  CHECK(job->parallel == 1);
  CHECK(job->detach == Detach::automatic);
  REQUIRE(job->cells.size() == 2);
  CHECK(job->cells[0].env.at("SEED") == "1");
  CHECK(job->cells[0].artifacts == std::vector<std::string>{"final", "metrics.json"});
  CHECK(job->cells[1].write_path == "/data/b");
  CHECK(parse_job(with("h100", "local"))->profile == "local");
}

TEST_CASE("the digest is of the meaning, not of the spelling") {
  const std::string digest = job_digest(*parse_job(kJob));
  CHECK(digest.size() == 64);
  CHECK(job_digest(*parse_job(with(R"("run":"lora","box":"h100")",
                                   R"("box":"h100",  "run":"lora","parallel":1)"))) == digest);
  CHECK(job_digest(*parse_job(with(R"("box":"h100")", R"("box":"h100","detach":"nohup")"))) ==
        digest);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"a.py", "a2.py"},
           {R"("SEED":"1")", R"("SEED":"2")"},
           {"metrics.json", "m.json"},
           {"/data/b/", "/data/c"},
           {R"("box":"h100")", R"("box":"h200")"},
           {R"("box":"h100")", R"("box":"h100","secret_env":["TOKEN"])"},
           {R"("box":"h100")", R"("box":"h100","directory":"/src")"}}) {
    CHECK(job_digest(*parse_job(with(from, to))) != digest);
  }
}

TEST_CASE("a wrong job is refused with the path, what was expected and what was found") {
  refused("{", "not valid JSON");
  refused("[]", "expected a JSON object, found a list");
  refused(with("\"lora\"", "7"), "run: expected a text, found 7");
  refused(with("\"lora\"", "\"a b\""), "run: expected a name");
  refused(with("\"run\":\"lora\",", ""), "run: expected the run's name, found nothing");
  refused(with("\"h100\"", "\"-oProxyCommand=x\""), "box: ");
  refused(with("\"h100\"", "\"\""), "box: ");
  refused(with("\"name\":\"b\"", "\"name\":\"a\""), "cells[1].name: expected a name that no other");
  refused(with("\"name\":\"b\"", "\"name\":\"../b\""), "cells[1].name: expected a name of");
  refused(with("python b.py", " "), "cells[1].command");
  refused(with("python b.py", "x\\u0000y"), "NUL");
  refused(with("\"1\"", "1"), "cells[0].env.SEED: expected a text, found 1");
  refused(with("SEED", "1SEED"), "variable name");
  refused(with("SEED", "RGT_RUN"), "does not start with RGT_");
  refused(with("metrics.json", "/etc/passwd"), "cells[0].artifacts[1]");
  refused(with("metrics.json", "a/../../b"), "cells[0].artifacts[1]");
  refused(with("metrics.json", "a//b"), "cells[0].artifacts[1]");
  refused(with("metrics.json", ""), "cells[0].artifacts[1]");
  refused(with("metrics.json", "final"), "each path once");
  refused(with("/data/b/", "data/b"), "cells[1].write_path: expected an absolute path");
  refused(with("/data/b/", "/data/../b"), "cells[1].write_path");
  refused(with("\"box\"", "\"parallel\":65,\"box\""),
          "parallel: expected a whole number from 1 to 64");
  refused(with("\"box\"", "\"parallel\":1.5,\"box\""), "parallel: ");
  refused(with("\"box\"", "\"parallel\":18446744073709551615,\"box\""), "parallel: ");
  refused(with("\"box\"", "\"detach\":\"screen\",\"box\""), "detach: ");
  refused(with("\"box\"", "\"secret_env\":[\"A\",\"A\"],\"box\""),
          "secret_env[1]: expected each name");
  // A value where a name belongs may be the secret itself: the message does not repeat it.
  for (const char* value : {R"(["WANDB_API_KEY=abc123"])", R"({"WANDB_API_KEY":"abc123"})"}) {
    const auto job =
        parse_job(with("\"box\"", "\"secret_env\":" + std::string(value) + ",\"box\""));
    REQUIRE_FALSE(job.ok());
    CHECK(job.error().message.find("secret_env") != std::string::npos);
    CHECK(job.error().message.find("abc123") == std::string::npos);
  }
  refused(with("\"box\"", "\"secret_env\":[\"SEED\"],\"box\""), "cells[0].env.SEED");
  refused(R"({"run":"r","box":"b","cells":[]})", "an empty list");
  refused(with("\"h100\"", "\"h\xff\""), "not valid JSON");
}

TEST_CASE("an unknown key is refused, with the one that was probably meant") {
  refused(with("\"box\"", "\"paralel\":2,\"box\""), "did you mean parallel?");
  refused(with("\"command\":\"python b.py\"", "\"comand\":\"x\""), "cells[1].comand");
  refused(with("\"box\"", "\"zzzzzz\":2,\"box\""), "one of run, box");
}

TEST_CASE("two cells may not write into one folder or into each other's") {
  for (const char* path : {"/data/b", "/data/b/inner", "/data"}) {
    refused(with("\"name\":\"a\",", "\"name\":\"a\",\"write_path\":\"" + std::string(path) + "\","),
            "cells[1].write_path: expected a folder of its own");
  }
  CHECK(parse_job(with("\"name\":\"a\",", R"("name":"a","write_path":"/data/bb",)")).ok());
  refused(with("\"box\"", R"("run_root":"/data","run":"b","box")"), "outside the run folder");
}

TEST_CASE("a job has bounds") {
  std::string cells;
  for (int i = 0; i < 257; ++i) {
    cells +=
        (i ? "," : "") + std::string(R"({"name":"c)") + std::to_string(i) + R"(","command":"x"})";
  }
  refused(R"({"run":"r","box":"b","cells":[)" + cells + "]}", "at most 256", Code::limit);
  refused(with("python b.py", std::string(65537, 'x')), "at most 65536 bytes", Code::limit);
  std::string artifacts = "\"0\"";
  for (int i = 1; i < 4097; ++i) artifacts += ",\"" + std::to_string(i) + "\"";
  refused(with("\"final/\",\"metrics.json\"", artifacts), "at most 4096", Code::limit);
  const std::string deep(200000, '[');
  CHECK_FALSE(parse_job(deep).ok());
}

}  // namespace rgt
