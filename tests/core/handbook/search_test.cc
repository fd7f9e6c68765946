// SPDX-License-Identifier: MIT
#include <algorithm>
#include <fstream>
#include <map>

#include <catch2/catch.hpp>

#include "core/base/text.h"
#include "core/handbook/handbook.h"
#include "tests/core/handbook/shipped.h"

namespace rgt {
namespace {

constexpr const char* kFiles[] = {"paraphrases.tsv", "paraphrases_second.tsv",
                                  "paraphrases_held_out.tsv", "paraphrases_third.tsv"};

// One line of tests/core/handbook/data/*.tsv: what a person types, and the entries that answer it.
struct Question {
  std::string words = {};
  std::vector<std::string> entries = {};  // any of them; empty: nothing fits
  std::string platform = {};
};

std::vector<Question> questions(const char* name) {
  std::ifstream file(std::string(RGT_SOURCE_DIR) + "/tests/core/handbook/data/" + name);
  std::vector<Question> list;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto fields = split(line, '\t');
    REQUIRE(fields.size() >= 2);
    Question question;
    question.words = fields[0];
    if (fields.size() > 2) question.platform = fields[2];
    for (const std::string_view id : split(fields[1], ' ')) {
      if (id != "none") question.entries.emplace_back(id);
    }
    list.push_back(std::move(question));
  }
  return list;
}

struct Share {
  std::size_t asked = 0, first = 0, among_three = 0, foreign = 0, refused = 0;
  std::string missed = {};
};

Share ask(const Handbook& book, const char* file) {
  Share share;
  for (const Question& question : questions(file)) {
    const auto matches = book.search(question.words, question.platform, 3);
    const auto right = [&](const Match& match) {
      return std::find(question.entries.begin(), question.entries.end(), match.section->id) !=
             question.entries.end();
    };
    if (question.entries.empty()) {
      ++share.foreign;
      share.refused += matches.empty();
      continue;
    }
    ++share.asked;
    const bool first = !matches.empty() && right(matches[0]);
    share.first += first;
    share.among_three += std::any_of(matches.begin(), matches.end(), right);
    if (!first)
      share.missed +=
          question.words + " -> " + (matches.empty() ? "nothing" : matches[0].section->id) + "\n";
  }
  return share;
}

}  // namespace

TEST_CASE("Symptoms find their entry: first mostly, among the first three nearly always") {
  const auto book = shipped_handbook();
  // Each file says when it was written, and what was found before anybody tuned on it.
  for (const char* file : kFiles) {
    const Share share = ask(*book, file);
    INFO(file << ": first " << share.first << ", in three " << share.among_three << " of "
              << share.asked << "; missed:\n"
              << share.missed);
    CHECK(share.asked >= 60);
    CHECK(share.first * 100 >= share.asked * 85);
    CHECK(share.among_three * 100 >= share.asked * 95);
    CHECK(share.refused * 100 >= share.foreign * 70);
  }
}

TEST_CASE("Every question of the sets expects entries that exist") {
  const auto book = shipped_handbook();
  for (const char* file : kFiles) {
    for (const Question& question : questions(file)) {
      for (const std::string& id : question.entries) {
        INFO(question.words << " expects " << id);
        CHECK(book->find_entry(id) != nullptr);
      }
    }
  }
}

TEST_CASE("Every entry has its phrasings, and every phrasing its entry") {
  const auto book = shipped_handbook();
  std::ifstream file(std::string(RGT_SOURCE_DIR) + "/core/handbook/asked_as.tsv");
  std::map<std::string, std::size_t, std::less<>> phrases;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto fields = split(line, '\t');
    INFO(line);
    CHECK(phrases.emplace(fields[0], fields.size() - 1).second);
    CHECK(book->find_entry(fields[0]) != nullptr);
  }
  for (const Section& section : book->sections()) {
    INFO(section.id);
    if (section.is_entry()) CHECK(phrases[section.id] >= 3);
  }
}

TEST_CASE(
    "A question in just the words that people ask by lands there, not where the words stand") {
  const auto book = shipped_handbook();
  const auto full = book->search("disk full", "", 2);
  REQUIRE(full.size() == 2);
  CHECK(full[0].section->id + " " + full[1].section->id == "U6 U7");
  CHECK(book->search("oom", "", 1).at(0).section->id == "M2");
  const std::string drops = book->search("ssh drops", "", 1).at(0).section->id;
  CHECK((drops == "GEN2" || drops == "SSH2"));
}

TEST_CASE("An id is found as itself, in any case") {
  const auto book = shipped_handbook();
  CHECK(book->search("U7", "", 3).at(0).section->id == "U7");
  CHECK(book->search("gen3", "", 3).at(0).section->id == "GEN3");
}

TEST_CASE("Words that mean nothing here find nothing") {
  const auto book = shipped_handbook();
  for (const char* words : {"recipe for sourdough pizza", "weather in Paris tomorrow",
                            "football results", "", "   ", "?!", "the and of"}) {
    CHECK(book->search(words, "", 3).empty());
  }
}

TEST_CASE("A platform's own facts are not offered for another platform") {
  const auto book = shipped_handbook();
  for (const Match& match : book->search("laptop lid closed run stopped", "generic-ssh", 10))
    CHECK(match.section->platform != "local");
}

TEST_CASE(
    "A named platform's entry comes before another platform's, and none named prefers neither") {
  const auto book = shipped_handbook();
  CHECK(book->search("vast.ai stopped instance keeps billing", "", 1).at(0).section->platform ==
        "vastai");
  CHECK(book->search("runpod stopped keeps billing", "", 1).at(0).section->platform == "runpod");
  CHECK(book->search("disk full", "", 1).at(0).section->platform.empty());
  // What holds on any box over ssh holds on a rented one too.
  CHECK(book->search("job died when the ssh connection dropped", "runpod", 1).at(0).section->id ==
        "GEN2");
}

TEST_CASE("T4 in a sentence is the card, T4 alone is the entry") {
  const auto book = shipped_handbook();
  CHECK(book->search("T4", "", 1).at(0).section->id == "T4");
  CHECK(book->search("bf16 is slow on my T4", "", 1).at(0).section->id == "P3");
}

TEST_CASE("Hostile queries are bounded") {
  const auto book = shipped_handbook();
  (void)book->search(std::string(1000000, 'a'), "", 3);
  (void)book->search(std::string("\0\xff\xfe inodes \x80", 12), "", 3);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "w" + std::to_string(i) + " ";
  (void)book->search(many, "", 3);
}

}  // namespace rgt
