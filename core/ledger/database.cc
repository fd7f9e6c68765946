// SPDX-License-Identifier: MIT
#include "core/ledger/database.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

namespace rgt {
namespace {

// How long a writer waits for another process: a ledger write takes milliseconds, so ten seconds
// means that somebody hangs.
constexpr int kBusyMilliseconds = 10000;

std::string advice(int code) {
  switch (code & 0xFF) {
    case SQLITE_FULL: return "free space or inodes on the disk that holds it (df -h, df -i)";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM: return "make the folder writable, or set RGT_STATE_DIR to another one";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another rgt process holds the ledger: look for one that hangs, then call again";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return "keep the file, move it away, and rebuild: `rgt doctor` tells how";
    default: return "check the disk, then call again";
  }
}

}  // namespace

Statement::Statement(sqlite3* connection, std::string_view sql) : connection_(connection) {
  trouble_ = sqlite3_prepare_v2(connection_, sql.data(), static_cast<int>(sql.size()), &statement_,
                                nullptr);
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(std::string_view text) {
  if (trouble_ == 0) {
    trouble_ = sqlite3_bind_text(statement_, next_++, text.data(), static_cast<int>(text.size()),
                                 SQLITE_TRANSIENT);
  }
  return *this;
}

Statement& Statement::bind(std::int64_t number) {
  if (trouble_ == 0) trouble_ = sqlite3_bind_int64(statement_, next_++, number);
  return *this;
}

bool Statement::step() {
  if (trouble_ != 0) return false;
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) trouble_ = code;
  return code == SQLITE_ROW;
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return bytes == nullptr
             ? ""
             : std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& file) {
  sqlite3* raw = nullptr;
  // Made first with its mode: the ledger names boxes and runs, which is nobody else's business.
  const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (made >= 0) ::close(made);
  const int code =
      sqlite3_open_v2(file.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  std::unique_ptr<Connection> connection(new Connection(raw, file));
  if (code != SQLITE_OK) return connection->last_error("open");
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, kBusyMilliseconds);
  if (auto set = connection->execute(
          "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");
      !set) {
    return set.error();
  }
  return connection;
}

Connection::~Connection() { sqlite3_close(connection_); }

Result<void> Connection::execute(const char* sql) {
  if (sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return last_error("write");
}

Error Connection::last_error(const std::string& doing) const {
  const int code = connection_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(connection_);
  const int system = connection_ == nullptr ? 0 : sqlite3_system_errno(connection_);
  const bool damaged = (code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB;
  std::string message = "cannot " + doing + " the ledger " + file_.string() + ": ";
  message += connection_ == nullptr ? "out of memory" : sqlite3_errmsg(connection_);
  if (system != 0) message += std::string(" (") + std::strerror(system) + ")";
  return Error{damaged ? Code::corrupt : Code::io, message,
               advice(system == ENOSPC ? SQLITE_FULL : code)};
}

Result<Transaction> Transaction::begin(Connection& connection) {
  if (auto begun = connection.execute("BEGIN IMMEDIATE"); !begun) return begun.error();
  return Transaction(connection);
}

Transaction::~Transaction() {
  if (connection_ != nullptr) (void)connection_->execute("ROLLBACK");
}

Result<void> Transaction::commit() {
  auto committed = connection_->execute("COMMIT");
  if (committed) connection_ = nullptr;
  return committed;
}

}  // namespace rgt
