// SPDX-License-Identifier: MIT
#include "core/triage/signatures.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace rgt {
namespace {

bool is_judgement(const Signature& row) {
  return row.kind == RowKind::cause || row.kind == RowKind::symptom ||
         row.kind == RowKind::fallback;
}

TEST_CASE("the embedded table parses and is a body of knowledge, not a handful of rules") {
  const std::vector<Signature>& rows = SignatureTable::embedded().rows();
  CHECK(std::count_if(rows.begin(), rows.end(), is_judgement) >= 60);
}

TEST_CASE("every failure class that can be diagnosed has a row, and every row gives an answer") {
  const std::vector<Signature>& rows = SignatureTable::embedded().rows();
  for (int i = 0; i <= static_cast<int>(FailureClass::unknown); ++i) {
    const auto failure = static_cast<FailureClass>(i);
    if (failure == FailureClass::none || failure == FailureClass::unknown) continue;
    INFO(failure_class_name(failure));
    CHECK(std::any_of(rows.begin(), rows.end(), [&](const Signature& row) {
      return is_judgement(row) && row.failure == failure;
    }));
  }
  for (const Signature& row : rows) {
    INFO(row.id);
    if (!is_judgement(row)) {
      CHECK(row.failure == FailureClass::none);
      continue;
    }
    CHECK(row.failure != FailureClass::none);
    CHECK(row.remediation != Remediation::none);
    CHECK(row.reason.ends_with("."));
  }
}

TEST_CASE("names of classes and remediations go there and back") {
  for (int i = 0; i <= static_cast<int>(FailureClass::unknown); ++i) {
    const auto failure = static_cast<FailureClass>(i);
    CHECK(parse_failure_class(failure_class_name(failure)) == failure);
  }
  CHECK_FALSE(parse_failure_class("out_of_cheese").has_value());
}

TEST_CASE("a row that cannot be right is refused with its name") {
  const std::string good =
      "a\tcuda_oom\t50\tcause\t-\tboom\tinvestigate_code\tU10\tIt went boom.\n";
  REQUIRE(SignatureTable::parse(good).ok());
  const auto bad = GENERATE(as<std::string>(), "", "a\tcuda_oom\t50\n",
                            "a\tcuda_boom\t50\tcause\t-\tboom\tinvestigate_code\tU10\tIt.\n",
                            "a\tcuda_oom\tmuch\tcause\t-\tboom\tinvestigate_code\tU10\tIt.\n",
                            "a\tcuda_oom\t50\thunch\t-\tboom\tinvestigate_code\tU10\tIt.\n",
                            "a\tcuda_oom\t50\tcause\tfull_moon\tboom\tinvestigate_code\tU10\tIt.\n",
                            "a\tcuda_oom\t50\tcause\texit=999\tboom\tinvestigate_code\tU10\tIt.\n",
                            "a\tcuda_oom\t50\tcause\t-\t(boom\tinvestigate_code\tU10\tIt.\n",
                            "a\tcuda_oom\t50\tcause\t-\t-\tinvestigate_code\tU10\tIt.\n",
                            "a\tcuda_oom\t50\tcause\t-\tboom\tpray\tU10\tIt.\n");
  INFO(bad);
  const Result<SignatureTable> table = SignatureTable::parse(bad);
  REQUIRE_FALSE(table.ok());
  CHECK(table.error().code == Code::corrupt);
  CHECK_FALSE(SignatureTable::parse(good + good).ok());
}

}  // namespace
}  // namespace rgt
