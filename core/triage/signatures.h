// SPDX-License-Identifier: MIT
// The knowledge table of triage: what a log line or a fact about a death says about its cause.
// Parsed from core/triage/signatures.tsv (its head explains the columns), compiled once per
// process, never changed afterwards; safe from any thread. Matching is linear in the line's length.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/triage/triage.h"

namespace rgt {

enum class RowKind { cause, symptom, fallback, mention, wrapper };

// What must hold beside (or instead of) a matching line.
struct Condition {
  enum class Fact {
    exit_code,       // exit=N
    signal,          // signal=N: died of it, or exited with 128+N as shells report it
    any_signal,      // some signal, told as above
    failed,          // exit code not 0, or a signal
    oom_kill,        // the cgroup's oom_kill counter rose
    oom_flat,        // the counter was watched until the end and did not rise
    bytes_gone,      // known, and nothing worth a checkpoint is left
    bytes_plenty,    // known, and plenty is left
    inodes_gone,     // known, and hardly one is left
    inodes_unknown,  // not measured, or not counted by the filesystem
    exception,       // the line is the exception of a traceback
  } fact = Fact::failed;
  int number = 0;
};

struct Signature {
  std::string id = {};
  FailureClass failure = FailureClass::none;
  int score = 0;
  RowKind kind = RowKind::cause;
  std::vector<Condition> when = {};
  std::string pattern = {};  // empty: a row of facts alone
  Remediation remediation = Remediation::none;
  std::vector<std::string> references = {};
  std::string reason = {};
};

class SignatureTable {
 public:
  // Code::corrupt names the row and column that is wrong.
  static Result<SignatureTable> parse(std::string_view tsv);
  // The embedded one. Aborts if it does not parse: that is our bug, and a test holds it.
  static const SignatureTable& embedded();

  SignatureTable(SignatureTable&&) noexcept;
  SignatureTable& operator=(SignatureTable&&) noexcept;
  ~SignatureTable();

  const std::vector<Signature>& rows() const { return rows_; }
  // Indices of the rows whose pattern is somewhere in the line, in table order. Conditions are the
  // caller's to check.
  std::vector<std::size_t> matches(std::string_view clean_line) const;

 private:
  struct Matcher;
  SignatureTable();
  std::vector<Signature> rows_;
  std::unique_ptr<Matcher> matcher_;
};

}  // namespace rgt
