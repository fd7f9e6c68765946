// SPDX-License-Identifier: MIT
#include "core/triage/signatures.h"

#include <re2/set.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "core/base/embedded.h"
#include "core/base/text.h"

namespace rgt {

extern const std::span<const EmbeddedFile> kSignatureTable;

namespace {

constexpr std::size_t kColumns = 9;

// 32 MiB: all patterns run as one automaton whose states are cached; a cache of RE2's default 8 MiB
// is thrown away and rebuilt several times within one 64 KiB tail.
constexpr int kAutomatonBytes = 32 << 20;

Error bad_row(std::string_view id, std::string_view what) {
  return {Code::corrupt, "signatures.tsv, row '" + std::string(id) + "': " + std::string(what),
          "correct the row; its columns are explained at the head of the file"};
}

std::optional<RowKind> parse_kind(std::string_view word) {
  static const std::map<std::string_view, RowKind> kKinds = {
      {"cause", RowKind::cause},     {"symptom", RowKind::symptom}, {"fallback", RowKind::fallback},
      {"mention", RowKind::mention}, {"wrapper", RowKind::wrapper},
  };
  const auto found = kKinds.find(word);
  if (found == kKinds.end()) return {};
  return found->second;
}

std::optional<Condition> parse_condition(std::string_view word) {
  using Fact = Condition::Fact;
  static const std::map<std::string_view, Fact> kFacts = {
      {"any_signal", Fact::any_signal},   {"failed", Fact::failed},
      {"oom_kill", Fact::oom_kill},       {"oom_flat", Fact::oom_flat},
      {"bytes_gone", Fact::bytes_gone},   {"bytes_plenty", Fact::bytes_plenty},
      {"inodes_gone", Fact::inodes_gone}, {"inodes_unknown", Fact::inodes_unknown},
      {"exception", Fact::exception},
  };
  if (const auto found = kFacts.find(word); found != kFacts.end())
    return Condition{found->second, 0};
  const std::vector<std::string_view> parts = split(word, '=');
  if (parts.size() != 2 || (parts[0] != "exit" && parts[0] != "signal")) return {};
  const std::optional<std::int64_t> number = parse_int(parts[1]);
  if (!number || *number < 0 || *number > 255) return {};
  return Condition{parts[0] == "exit" ? Fact::exit_code : Fact::signal, static_cast<int>(*number)};
}

std::optional<Remediation> parse_remediation(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Remediation::remove_patrol); ++i) {
    if (remediation_name(static_cast<Remediation>(i)) == name) return static_cast<Remediation>(i);
  }
  return {};
}

// The list in one column, where "-" stands for none.
std::vector<std::string_view> list_of(std::string_view column) {
  if (column == "-") return {};
  return split(column, ',');
}

Result<Signature> parse_row(std::string_view line) {
  const std::vector<std::string_view> columns = split(line, '\t');
  if (columns.size() != kColumns) {
    return bad_row(columns.front(), "has " + std::to_string(columns.size()) + " columns, not 9");
  }
  Signature row;
  row.id = columns[0];
  const auto failure = parse_failure_class(columns[1]);
  const auto score = parse_int(columns[2]);
  const auto kind = parse_kind(columns[3]);
  const auto remediation = parse_remediation(columns[6]);
  if (row.id.empty()) return bad_row("", "has no id");
  if (!failure) return bad_row(row.id, "column 2 is no failure class");
  if (!score || *score < 0 || *score > 100) return bad_row(row.id, "column 3 is no score of 0-100");
  if (!kind) return bad_row(row.id, "column 4 is no kind");
  if (!remediation) return bad_row(row.id, "column 7 is no remediation");
  row.failure = *failure;
  row.score = static_cast<int>(*score);
  row.kind = *kind;
  row.remediation = *remediation;
  for (const std::string_view word : list_of(columns[4])) {
    const auto condition = parse_condition(word);
    if (!condition) return bad_row(row.id, "column 5 is no condition: " + std::string(word));
    row.when.push_back(*condition);
  }
  if (columns[5] != "-") row.pattern = columns[5];
  if (row.pattern.empty() && row.when.empty()) return bad_row(row.id, "would match everything");
  for (const std::string_view entry : list_of(columns[7])) row.references.emplace_back(entry);
  row.reason = columns[8];
  return row;
}

}  // namespace

struct SignatureTable::Matcher {
  re2::RE2::Set set{options(), RE2::UNANCHORED};
  std::vector<std::size_t> row_of = {};  // pattern index in the set -> row

  static RE2::Options options() {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kAutomatonBytes);
    return options;
  }
};

SignatureTable::SignatureTable() : matcher_(std::make_unique<Matcher>()) {}
SignatureTable::SignatureTable(SignatureTable&&) noexcept = default;
SignatureTable& SignatureTable::operator=(SignatureTable&&) noexcept = default;
SignatureTable::~SignatureTable() = default;

Result<SignatureTable> SignatureTable::parse(std::string_view tsv) {
  SignatureTable table;
  std::set<std::string> ids;
  for (const std::string_view line : split(tsv, '\n')) {
    if (trim(line).empty() || line.front() == '#') continue;
    Result<Signature> row = parse_row(line);
    if (!row) return row.error();
    if (!ids.insert(row->id).second) return bad_row(row->id, "stands twice in the table");
    if (!row->pattern.empty()) {
      std::string why;
      if (table.matcher_->set.Add(row->pattern, &why) < 0) {
        return bad_row(row->id, "column 6 is no RE2 pattern: " + why);
      }
      table.matcher_->row_of.push_back(table.rows_.size());
    }
    table.rows_.push_back(std::move(row).value());
  }
  if (table.rows_.empty()) return bad_row("", "the table is empty");
  if (!table.matcher_->set.Compile()) return bad_row("", "the patterns do not fit in memory");
  return table;
}

const SignatureTable& SignatureTable::embedded() {
  static const SignatureTable kTable = [] {
    Result<SignatureTable> table =
        parse(embedded_text(kSignatureTable, "core/triage/signatures.tsv"));
    require(table.ok(), table.ok() ? "" : table.error().message.c_str());
    return std::move(table).value();
  }();
  return kTable;
}

std::vector<std::size_t> SignatureTable::matches(std::string_view clean_line) const {
  std::vector<int> hits;
  matcher_->set.Match(re2::StringPiece(clean_line.data(), clean_line.size()), &hits);
  std::vector<std::size_t> rows;
  for (const int hit : hits) rows.push_back(matcher_->row_of[static_cast<std::size_t>(hit)]);
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace rgt
