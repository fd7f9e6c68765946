// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "core/handbook/handbook.h"

namespace rgt {
namespace {

struct Question {
  const char* words;
  const char* entry;
};

// How people and logs say it: plain words, error lines, misspelt, Chinese.
const std::vector<Question> kQuestions{
    {"no space left on device but df -h shows free space", "U7"},
    {"out of inodes", "U7"},
    {"basic_ios::clear: iostream error", "U6"},
    {"unexpected pos 64 vs 0 in torch.save", "U6"},
    {"Killed exit code 137 no traceback", "U9"},
    {"cgroup memory limit killed my dataloader workers", "U9"},
    {"CUDA out of memory but the gpu looks empty", "U11"},
    {"GPU has fallen off the bus", "U22"},
    {"Xid 79", "U22"},
    {"$'\\r': command not found", "U26"},
    {"windows line endings in shell script", "U26"},
    {"no kernel image is available for execution on the device", "U28"},
    {"CUDA driver version is insufficient", "U28"},
    {"log says synced but nothing arrived", "U33"},
    {"log is silent but checkpoints appear", "U43"},
    {"stdout block buffered", "U43"},
    {"ssh exits 255 when I pkill", "U1"},
    {"edited the shell script while it was running", "U2"},
    {"process vanished without traceback", "U3"},
    {"gpu utilization zero but steps advance", "U38"},
    {"OMP_NUM_THREADS too many threads on a vcpu slice", "U40"},
    {"uptime and free show the host not the container", "U41"},
    {"nvidia-smi shows 100 % but training is slow", "U21"},
    {"thermal throttling slower than yesterday", "U23"},
    {"millions of small files", "U25"},
    {"token visible in process list", "U34"},
    {"scp of a large folder dies", "U12"},
    {"tensorboard panel is empty", "U39"},
    {"same docker image tag changed", "U30"},
    {"container does not see the gpu", "U31"},
    {"egress surcharge on the bill", "U14"},
    {"NCCL watchdog timeout", "D19"},
    {"one rank died and the others hang", "D20"},
    {"Address already in use MASTER_PORT", "D4"},
    {"loss became NaN", "P8"},
    {"loss spike at warmup", "P12"},
    {"checkpoint is truncated after crash", "C2"},
    {"restart begins at epoch 0", "C3"},
    {"forgot to stop the box", "GEN1"},
    {"laptop lid closed run stopped", "LOC1"},
    {"utilzation zero but stpes advance", "U38"},
    {"thermel throtling", "U23"}};

}  // namespace

TEST_CASE("Symptoms find their entry: first mostly, among the first three nearly always") {
  const auto book = std::move(Handbook::load({})).value();
  std::size_t first = 0, third = 0;
  std::string missed;
  for (const Question& question : kQuestions) {
    const auto matches = book->search(question.words, "", 3);
    bool among = false;
    for (std::size_t i = 0; i < matches.size(); ++i) {
      if (matches[i].section->id != question.entry) continue;
      among = true;
      first += i == 0;
    }
    third += among;
    if (!among || matches[0].section->id != question.entry)
      missed += std::string(question.words) + " -> " +
                (matches.empty() ? "nothing" : matches[0].section->id) + "\n";
  }
  INFO(missed);
  CHECK(first * 100 >= kQuestions.size() * 85);
  CHECK(third * 100 >= kQuestions.size() * 95);
}

TEST_CASE("An id is found as itself, in any case") {
  const auto book = std::move(Handbook::load({})).value();
  CHECK(book->search("U7", "", 3).at(0).section->id == "U7");
  CHECK(book->search("gen3", "", 3).at(0).section->id == "GEN3");
}

TEST_CASE("Words that mean nothing here find nothing") {
  const auto book = std::move(Handbook::load({})).value();
  for (const char* words : {"recipe for sourdough pizza", "weather in Paris tomorrow",
                            "football results", "", "   ", "?!", "the and of"}) {
    CHECK(book->search(words, "", 3).empty());
  }
}

TEST_CASE("A platform's own facts are not offered for another platform") {
  const auto book = std::move(Handbook::load({})).value();
  for (const Match& match : book->search("laptop lid closed run stopped", "generic-ssh", 10))
    CHECK(match.section->platform != "local");
}

TEST_CASE("Hostile queries are bounded") {
  const auto book = std::move(Handbook::load({})).value();
  (void)book->search(std::string(1000000, 'a'), "", 3);
  (void)book->search(std::string("\0\xff\xfe inodes \x80", 12), "", 3);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "w" + std::to_string(i) + " ";
  (void)book->search(many, "", 3);
}

}  // namespace rgt
