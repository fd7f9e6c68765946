// SPDX-License-Identifier: MIT
// Log endings with the class that a careful engineer gives them, and how triage does on them: the
// measure of the table of signatures. The format is explained at the head of
// tests/core/triage/data/endings.txt. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/triage/triage.h"

namespace rgt {

struct LabelledEnding {
  std::string name = {};
  FailureClass expected = FailureClass::unknown;
  FailureEvidence facts = {};  // all but the log
  std::string log = {};
};

// Code::invalid_argument names the line and what was expected there.
Result<std::vector<LabelledEnding>> parse_labelled(std::string_view text);

Diagnosis diagnose(const LabelledEnding& ending);

struct Miss {
  LabelledEnding ending = {};
  Diagnosis diagnosis = {};
};

class Confusion {
 public:
  void add(const LabelledEnding& ending, const Diagnosis& diagnosis);

  std::size_t total() const { return total_; }
  std::size_t right() const { return total_ - misses_.size(); }
  const std::vector<Miss>& misses() const { return misses_; }
  // How many endings of class `expected` were called `got`.
  std::size_t count(FailureClass expected, FailureClass got) const;

  // One row per expected class with its endings, how many were right and what the others were
  // called; then the sum.
  std::string table() const;
  // Every miss with the ranked candidates and their lines, for whoever repairs the table.
  std::string details() const;

 private:
  std::size_t total_ = 0;
  std::vector<std::vector<std::size_t>> counts_ = {};  // [expected][got]
  std::vector<Miss> misses_ = {};
};

Confusion confusion_of(const std::vector<LabelledEnding>& endings);

}  // namespace rgt
