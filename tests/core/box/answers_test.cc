// SPDX-License-Identifier: MIT
// The parsers of what a box says: a whole answer is read, anything else is refused as a whole.
#include <catch2/catch.hpp>
#include <random>

#include "core/base/text.h"
#include "core/box/look.h"
#include "core/box/manifest.h"
#include "core/box/onbox.h"
#include "core/box/survey.h"

namespace rgt {
namespace {

const std::string kDigest(64, 'a');

const std::string kLook = "rgt-look 2\nboot =b-1\nmachine =" + kDigest +
                          "\ngpu +MCwgSDEwMA==\nrun r1 1\ndigest =" + kDigest +
                          "\nsupervisor running 0 0\ndisk 1 2 3 4\n"
                          "heartbeat 1800000000 5 6 7 8 9 +ODclLDEgTWlCOw==\n"
                          "cell c1 failed 137 9 2 ended 77 123456 =b-1 1 2 3 1 4\n"
                          "log 11 6 12 0 1 +c3RlcDEK\n"
                          "cell c2 none -1 0 0 unknown 0 0 - 0 0 0 0 0\nlog 0 0 0 0 0 -\n"
                          "end-run\nrun r2 0\nend-run\ntime 1800000000\nend\n";

const std::string kManifest =
    "rgt-manifest 2\nrun =r1\ncell c1\ntick\nart 1 =steps\nart 2 =gone\nfile 1 =steps/b 2 3 " +
    kDigest + "\ntick\nfile 1 =steps/a 1 3 " + kDigest + "\nunexpected =x.pt\nlive 0\ntick\nend\n";

const std::string kSurvey =
    "rgt-survey 1\ntime 1800000000\nboot =b\nmachine -\nos +RGViaWFuIDEy\nkernel =Linux\nuser "
    "=root\n"
    "home =/root\ncpu 8 150000 100000\nmemory 100 50 25 5 1 v2\nshm 64 32\n"
    "mount =/data =/ =ext4 10 5 4 3 1\nnvidia-smi gpu 0 "
    "+aW5kZXgsIG5hbWUsIG1lbW9yeS50b3RhbCBbTWlCXQowLCBIMTAwLCA4MDAwMAo=\nxids dmesg\n"
    "xid +TlZSTTogWGlkIChQQ0k6MDAwMDozYjowMCk6IDc5LCBwaWQ9MQ==\ntorch 1 -\n"
    "sign runpod 1 +ZW52IFJVTlBPRF9QT0RfSUQ=\nmirror =https://x 206 1 2 0\n"
    "hog =/a =/b =/ 1024 1\nhogs 1\ntool tmux 1\ntool rsync 0\nended 1800000003\nend\n";

// Every prefix that ends at a line, every line doubled, every line gone: none may be half-believed.
template <class Parse>
void refuses_all_cuts(const std::string& whole, Parse parse) {
  for (std::size_t at = 0; at < whole.size(); ++at) {
    INFO(at);
    const auto result = parse(whole.substr(0, at));
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == Code::corrupt);
  }
  CHECK_FALSE(parse(whole + "x\n").ok());
  CHECK_FALSE(parse(whole + "end\n").ok());
  CHECK_FALSE(parse("banner\n" + whole).ok());
}

template <class Parse>
void survives_noise(const std::string& whole, Parse parse) {
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) {
    std::string text = whole;
    for (int edits = 0; edits < 3; ++edits) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    const auto result = parse(text);
    if (!result.ok()) CHECK(is_valid_utf8(result.error().message));
  }
}

}  // namespace

TEST_CASE("a whole look is read") {
  const auto reading = parse_look(kLook);
  INFO((reading ? "" : reading.error().message));
  REQUIRE(reading.ok());
  CHECK(reading->gpus == std::vector<std::string>{"0, H100"});
  REQUIRE(reading->runs.size() == 2);
  const RunReading& run = reading->runs[0];
  CHECK(run.supervisor == Life::running);
  CHECK(run.heartbeats.at(0).gpu == "87%,1 MiB;");
  CHECK(run.heartbeats.at(0).oom_kills == 9);
  REQUIRE(run.cells.size() == 2);
  CHECK(run.cells[0].marker == CellReading::Marker::failed);
  CHECK(run.cells[0].signal == 9);
  CHECK(run.cells[0].process.start_time == "123456");
  CHECK(run.cells[0].log_bytes == "step1\n");
  CHECK(run.cells[0].log_rotated);
  CHECK(run.cells[1].attempt == 0);
  CHECK_FALSE(reading->runs[1].folder_exists);
}

TEST_CASE("an answer that was cut off at any byte is corrupt, never a partial reading") {
  refuses_all_cuts(kLook, parse_look);
  refuses_all_cuts(kManifest, parse_manifest);
  refuses_all_cuts(kSurvey, parse_survey);
}

TEST_CASE("changed bytes in an answer never crash a parser, and its complaint is clean text") {
  survives_noise(kLook, parse_look);
  survives_noise(kManifest, parse_manifest);
  survives_noise(kSurvey, parse_survey);
}

TEST_CASE("a complaint about an answer names the line and what was expected") {
  std::string wrong = kLook;
  wrong.replace(wrong.find("supervisor running"), 18, "supervisor jogging");
  const auto refused = parse_look(wrong);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::corrupt);
  CHECK(refused.error().message.find("running, ended or unknown") != std::string::npos);
  CHECK(refused.error().message.find("line") != std::string::npos);
}

TEST_CASE("more log bytes than the log has are refused") {
  std::string wrong = kLook;
  wrong.replace(wrong.find("log 11 6 12"), 11, "log 11 5 12");
  CHECK_FALSE(parse_look(wrong).ok());
}

TEST_CASE("a whole manifest is read, with folders in the order of their files") {
  const auto manifest = parse_manifest(kManifest);
  INFO((manifest ? "" : manifest.error().message));
  REQUIRE(manifest.ok());
  REQUIRE(manifest->entries.size() == 3);
  CHECK(manifest->entries[0].path == "steps/a");
  CHECK(manifest->entries[1].path == "steps/b");
  CHECK(manifest->entries[2].path == "gone");
  CHECK_FALSE(manifest->entries[2].present);
  CHECK(manifest->unexpected == std::vector<std::string>{"c1/x.pt"});
}

TEST_CASE("a manifest may not name files outside the artifact it answers for") {
  for (const char* path :
       {"../etc/passwd", "/etc/passwd", "steps/../../x", "other/a", "steps//a"}) {
    std::string wrong = kManifest;
    wrong.replace(wrong.find("steps/b"), 7, path);
    CHECK_FALSE(parse_manifest(wrong).ok());
  }
  std::string wrong = kManifest;
  wrong.replace(wrong.find("file 1"), 6, "file 3");  // of an artifact that was never announced
  CHECK_FALSE(parse_manifest(wrong).ok());
}

TEST_CASE("too many files are a limit, and a changed file makes the run live") {
  std::string text = kManifest;
  text.insert(text.find("art 2 =gone"), "limit\n");
  const auto refused = parse_manifest(text);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::limit);
  text = kManifest;
  text.insert(text.find("art 2 =gone"), "changed\n");
  const auto live = parse_manifest(text);
  REQUIRE(live.ok());
  CHECK(live->run_live);
}

TEST_CASE("a whole survey is read") {
  const auto found = parse_survey(kSurvey);
  INFO((found ? "" : found.error().message));
  REQUIRE(found.ok());
  CHECK(found->os == "Debian 12");
  CHECK(found->cpu_quota == Approx(1.5));
  CHECK(found->memory_limit == 50);
  CHECK(found->cgroup == "v2");
  CHECK(found->mounts.at(0).filesystem == "ext4");
  CHECK(found->gpu.gpus.at(0).memory_total_mib == 80000u);
  CHECK(found->tools_missing == std::vector<std::string>{"rsync"});
}

TEST_CASE("words for the box hold no space, newline or backslash of their own") {
  CHECK(onbox_word("/data/run-1") == "=/data/run-1");
  CHECK(onbox_word("") == "=");
  CHECK(onbox_word("a b\\\n") == "%a\\0040b\\0134\\0012");
}

}  // namespace rgt
