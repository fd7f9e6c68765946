// SPDX-License-Identifier: MIT
// The only file that speaks to SQLite: a connection, prepared statements, transactions, and errors
// as values. One Database per connection; callers hold a lock around it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace rgt {

class Statement {
 public:
  Statement(sqlite3* connection, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::string_view text);
  Statement& bind(std::int64_t number);

  // One row is there to read; false at the end and on trouble (then ok() is false).
  bool step();
  bool ok() const { return trouble_ == 0; }
  std::string text(int column) const;
  std::int64_t number(int column) const;

 private:
  sqlite3* connection_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
  int trouble_ = 0;  // SQLite's result code; 0 while all is well
};

class Connection {
 public:
  // Opens or creates; WAL, synchronous=FULL, a busy timeout. Code::io or Code::corrupt.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& file);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<void> execute(const char* sql);
  Statement prepare(std::string_view sql) { return Statement(connection_, sql); }
  // What SQLite says about the last failure, with the path and what to do.
  Error last_error(const std::string& doing) const;

 private:
  Connection(sqlite3* connection, std::filesystem::path file)
      : connection_(connection), file_(std::move(file)) {}
  sqlite3* connection_;
  std::filesystem::path file_;
};

// BEGIN IMMEDIATE; rolls back unless committed. IMMEDIATE, so that two writers queue at the start
// instead of one failing at its first write.
class Transaction {
 public:
  static Result<Transaction> begin(Connection& connection);
  Transaction(Transaction&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Result<void> commit();

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
};

}  // namespace rgt
