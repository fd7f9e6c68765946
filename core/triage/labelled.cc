// SPDX-License-Identifier: MIT
#include "core/triage/labelled.h"

#include <iomanip>
#include <optional>
#include <sstream>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::string_view kHead = "=== ";
constexpr std::size_t kClasses = static_cast<std::size_t>(FailureClass::unknown) + 1;

std::size_t index_of(FailureClass failure) { return static_cast<std::size_t>(failure); }

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// "exit=1", "oom": one word of a head's third field. False: no such fact.
bool read_fact(std::string_view word, FailureEvidence& facts) {
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
    return false;
  }
  return true;
}

Error wrong(std::size_t line, const std::string& what) {
  return Error{Code::invalid_argument, "line " + std::to_string(line) + ": " + what,
               "write a head like \"=== name | cuda_oom | exit=1\" and the log below it"};
}

Result<LabelledEnding> read_head(std::string_view head, std::size_t line) {
  const std::vector<std::string_view> parts = split(head, '|');
  if (parts.size() != 3) return wrong(line, "expected name | class | facts");
  const auto expected = parse_failure_class(trim(parts[1]));
  if (!expected) return wrong(line, "no class named \"" + clean_line(trim(parts[1]), 60) + "\"");
  LabelledEnding ending{std::string(trim(parts[0])), *expected, {}, {}};
  for (const std::string_view word : split(parts[2], ' ')) {
    if (trim(word).empty()) continue;
    if (!read_fact(trim(word), ending.facts))
      return wrong(line, "no fact named \"" + clean_line(word, 60) + "\"");
  }
  return ending;
}

}  // namespace

Result<std::vector<LabelledEnding>> parse_labelled(std::string_view text) {
  std::vector<LabelledEnding> endings;
  std::size_t number = 0;
  if (text.ends_with('\n')) text.remove_suffix(1);
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    if (line.starts_with(kHead)) {
      auto ending = read_head(line.substr(kHead.size()), number);
      if (!ending) return ending.error();
      endings.push_back(std::move(*ending));
    } else if (!endings.empty()) {
      endings.back().log +=
          replaced(replaced(std::string(line), "<CR>", "\r"), "<ESC>", "\x1b") + "\n";
    }
  }
  if (endings.empty()) return wrong(1, "the file holds no ending");
  return endings;
}

Diagnosis diagnose(const LabelledEnding& ending) {
  FailureEvidence evidence = ending.facts;
  evidence.log_tail = ending.log;
  return triage(evidence);
}

void Confusion::add(const LabelledEnding& ending, const Diagnosis& diagnosis) {
  counts_.resize(kClasses, std::vector<std::size_t>(kClasses, 0));
  ++counts_[index_of(ending.expected)][index_of(diagnosis.failure)];
  ++total_;
  if (diagnosis.failure != ending.expected) misses_.push_back({ending, diagnosis});
}

std::size_t Confusion::count(FailureClass expected, FailureClass got) const {
  return counts_.empty() ? 0 : counts_[index_of(expected)][index_of(got)];
}

std::string Confusion::table() const {
  std::ostringstream out;
  out << std::left << std::setw(26) << "expected" << std::right << std::setw(8) << "endings"
      << std::setw(8) << "right"
      << "   called instead\n";
  for (std::size_t row = 0; row < kClasses; ++row) {
    const auto expected = static_cast<FailureClass>(row);
    std::size_t sum = 0;
    std::vector<std::string> others;
    for (std::size_t column = 0; column < kClasses; ++column) {
      const auto got = static_cast<FailureClass>(column);
      const std::size_t times = count(expected, got);
      sum += times;
      if (times > 0 && got != expected)
        others.push_back(std::string(failure_class_name(got)) + " " + std::to_string(times));
    }
    if (sum == 0) continue;
    out << std::left << std::setw(26) << failure_class_name(expected) << std::right << std::setw(8)
        << sum << std::setw(8) << count(expected, expected) << "   " << join(others, ", ") << "\n";
  }
  const std::size_t tenths = total_ == 0 ? 0 : (right() * 1000 + total_ / 2) / total_;
  out << right() << " of " << total_ << " right: " << tenths / 10 << "." << tenths % 10 << " %\n";
  return out.str();
}

std::string Confusion::details() const {
  std::ostringstream out;
  for (const Miss& miss : misses_) {
    out << clean_line(miss.ending.name, 80) << ": expected "
        << failure_class_name(miss.ending.expected) << ", got "
        << failure_class_name(miss.diagnosis.failure) << "\n";
    for (const Candidate& candidate : miss.diagnosis.candidates) {
      out << "    " << candidate.score << " " << failure_class_name(candidate.failure) << ": "
          << candidate.reason << "\n";
      for (const std::string& line : candidate.evidence) out << "        > " << line << "\n";
    }
  }
  return out.str();
}

Confusion confusion_of(const std::vector<LabelledEnding>& endings) {
  Confusion confusion;
  for (const LabelledEnding& ending : endings) confusion.add(ending, diagnose(ending));
  return confusion;
}

}  // namespace rgt
