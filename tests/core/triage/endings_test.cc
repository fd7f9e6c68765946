// SPDX-License-Identifier: MIT
// The labelled log endings of data/endings.txt: what triage calls each, against what a careful
// engineer calls it. A new kind of death is one more block in that file.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/text.h"
#include "core/triage/triage.h"

namespace rgt {
namespace {

struct Ending {
  std::string name = {};
  FailureClass expected = FailureClass::unknown;
  FailureEvidence facts = {};
  std::string log = {};
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

void read_fact(const std::string& word, FailureEvidence& facts) {
  const std::vector<std::string_view> parts = split(word, '=');
  const auto number = parts.size() == 2 ? parse_int(parts[1]) : std::optional<std::int64_t>();
  if (word == "oom") {
    facts.oom_kill_counted = true;
  } else if (word == "flat") {
    facts.oom_counter_watched = true;
  } else if (parts[0] == "exit" && number) {
    facts.exit_code = static_cast<int>(*number);
  } else if (parts[0] == "signal" && number) {
    facts.signal = static_cast<int>(*number);
  } else if (parts[0] == "disk" && number) {
    facts.disk_free_bytes = static_cast<std::uint64_t>(*number);
  } else if (parts[0] == "inodes" && number) {
    facts.inodes_free = static_cast<std::uint64_t>(*number);
  } else {
    FAIL("endings.txt: no such fact: " << word);
  }
}

std::vector<Ending> read_endings(const std::string& name = "endings.txt") {
  std::ifstream file(RGT_SOURCE_DIR "/tests/core/triage/data/" + name);
  REQUIRE(file.good());
  std::vector<Ending> endings;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("=== ")) {
      const std::vector<std::string_view> parts = split(std::string_view(line).substr(4), '|');
      REQUIRE(parts.size() == 3);
      const auto expected = parse_failure_class(trim(parts[1]));
      INFO(line);
      REQUIRE(expected.has_value());
      Ending ending{std::string(trim(parts[0])), *expected, {}, {}};
      std::istringstream words{std::string(parts[2])};
      for (std::string word; words >> word;) read_fact(word, ending.facts);
      endings.push_back(std::move(ending));
    } else if (!endings.empty()) {
      endings.back().log += replaced(replaced(line, "<CR>", "\r"), "<ESC>", "\x1b") + "\n";
    }
  }
  return endings;
}

Diagnosis diagnose(const Ending& ending, std::string_view log) {
  FailureEvidence evidence = ending.facts;
  evidence.log_tail = log;
  return triage(evidence);
}

std::string describe(const Ending& ending, const Diagnosis& diagnosis) {
  std::ostringstream out;
  out << "  " << ending.name << ": expected " << failure_class_name(ending.expected) << ", got "
      << failure_class_name(diagnosis.failure) << "\n";
  for (const Candidate& candidate : diagnosis.candidates) {
    out << "      " << candidate.score << " " << failure_class_name(candidate.failure) << ": "
        << candidate.reason << "\n";
    for (const std::string& line : candidate.evidence) out << "          > " << line << "\n";
  }
  return out.str();
}

// How many of the endings get another class than expected when each log is changed by `change`.
template <class Change>
std::pair<std::size_t, std::string> misses(const std::vector<Ending>& endings, Change change) {
  std::map<std::pair<FailureClass, FailureClass>, int> confusion;
  std::string details;
  std::size_t wrong = 0;
  for (const Ending& ending : endings) {
    const Diagnosis diagnosis = diagnose(ending, change(ending.log));
    if (diagnosis.failure == ending.expected) continue;
    ++wrong;
    ++confusion[{ending.expected, diagnosis.failure}];
    details += describe(ending, diagnosis);
  }
  std::ostringstream table;
  table << "\nexpected -> got: count\n";
  for (const auto& [pair, count] : confusion) {
    table << "  " << failure_class_name(pair.first) << " -> " << failure_class_name(pair.second)
          << ": " << count << "\n";
  }
  return {wrong, table.str() + details};
}

TEST_CASE("at least 98 of 100 labelled log endings get the right failure class") {
  const std::vector<Ending> endings = read_endings();
  REQUIRE(endings.size() >= 80);
  const auto [wrong, details] = misses(endings, [](const std::string& log) { return log; });
  INFO(details);
  CHECK(wrong * 100 <= endings.size() * 2);
}

TEST_CASE("at least 95 of 100 endings of other tools and other words get the right class") {
  const std::vector<Ending> endings = read_endings("held_out.txt");
  REQUIRE(endings.size() >= 50);
  const auto [wrong, details] = misses(endings, [](const std::string& log) { return log; });
  INFO(details);
  CHECK(wrong * 100 <= endings.size() * 5);
}

TEST_CASE("the class survives Windows line ends, colours, indentation noise and a long past") {
  const std::vector<Ending> endings = read_endings();
  std::string past;
  for (int step = 0; step < 3000; ++step) {
    past += "epoch 1 step " + std::to_string(step) + " loss 2.5 lr 0.0003\n";
  }
  const auto crlf = [](const std::string& log) { return replaced(log, "\n", "\r\n"); };
  const auto coloured = [](const std::string& log) {
    return replaced(log, "Error", "\x1b[1;31mError\x1b[0m");
  };
  const auto with_past = [&](const std::string& log) { return past + log; };
  const auto teed_noise = [](const std::string& log) { return "\n\n" + log + "\n \n\t\n"; };
  for (const auto& result : {misses(endings, crlf), misses(endings, coloured),
                             misses(endings, with_past), misses(endings, teed_noise)}) {
    INFO(result.second);
    CHECK(result.first * 100 <= endings.size() * 2);
  }
}

TEST_CASE("every failure class has at least one labelled ending") {
  const std::vector<Ending> endings = read_endings();
  for (int i = 0; i <= static_cast<int>(FailureClass::unknown); ++i) {
    const auto failure = static_cast<FailureClass>(i);
    INFO(failure_class_name(failure));
    CHECK(std::any_of(endings.begin(), endings.end(),
                      [&](const Ending& ending) { return ending.expected == failure; }));
  }
}

TEST_CASE("a diagnosis shows its reason, its quotes and the tail, all bounded") {
  for (const Ending& ending : read_endings()) {
    INFO(ending.name);
    const Diagnosis diagnosis = diagnose(ending, ending.log);
    CHECK(diagnosis.tail.size() <= 15);
    CHECK(diagnosis.candidates.size() <= 5);
    const bool named =
        diagnosis.failure != FailureClass::unknown && diagnosis.failure != FailureClass::none;
    CHECK(diagnosis.candidates.empty() != named);
    for (const Candidate& candidate : diagnosis.candidates) {
      CHECK_FALSE(candidate.reason.empty());
      CHECK(candidate.evidence.size() <= 3);
      for (const std::string& line : candidate.evidence) CHECK(line.size() <= 240);
    }
    if (diagnosis.failure == FailureClass::none) {
      CHECK(diagnosis.remediation == Remediation::none);
    } else {
      CHECK(diagnosis.remediation != Remediation::none);
    }
  }
}

TEST_CASE("a bug, an OOM, a NaN or a driver mismatch is never answered by a blind retry") {
  const std::set<FailureClass> needs_thought = {
      FailureClass::cuda_oom,       FailureClass::host_oom,        FailureClass::code_error,
      FailureClass::nan_divergence, FailureClass::driver_mismatch, FailureClass::unknown};
  for (const Ending& ending : read_endings()) {
    const Diagnosis diagnosis = diagnose(ending, ending.log);
    if (needs_thought.count(diagnosis.failure) == 0) continue;
    INFO(ending.name);
    CHECK(diagnosis.remediation == Remediation::investigate_code);
  }
}

TEST_CASE("when two causes are plausible both are ranked with their reasons") {
  FailureEvidence evidence;
  evidence.exit_code = 1;
  evidence.oom_kill_counted = true;
  evidence.log_tail =
      "Traceback (most recent call last):\n  File \"a.py\", line 1\n"
      "RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed.\n";
  const Diagnosis diagnosis = triage(evidence);
  REQUIRE(diagnosis.candidates.size() >= 2);
  CHECK(diagnosis.candidates[0].failure == FailureClass::host_oom);
  CHECK(diagnosis.candidates[1].failure == FailureClass::dataloader_worker_died);
  CHECK(diagnosis.candidates[0].score > diagnosis.candidates[1].score);
}

TEST_CASE("the same words mean bytes or inodes according to what the disk had left") {
  FailureEvidence evidence;
  evidence.exit_code = 1;
  evidence.log_tail = "cp: error writing 'a': No space left on device\n";
  evidence.disk_free_bytes = 0;
  evidence.inodes_free = 500000;
  CHECK(triage(evidence).failure == FailureClass::disk_full_bytes);
  CHECK(triage(evidence).remediation == Remediation::prune_scratch_then_retry);
  evidence.disk_free_bytes = 50ull << 30;
  evidence.inodes_free = 0;
  CHECK(triage(evidence).failure == FailureClass::disk_full_inodes);
}

}  // namespace
}  // namespace rgt
