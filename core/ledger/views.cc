// SPDX-License-Identifier: MIT
#include "core/ledger/views.h"

#include <array>
#include <functional>
#include <map>
#include <string>

#include "core/base/json.h"

namespace rgt {
namespace {

// Version 1. `cell_memory` is a cache beside the views: losing it costs one longer look, no truth.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, run TEXT NOT NULL,
  box TEXT NOT NULL, body TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
CREATE INDEX events_by_run ON events (run, sequence);
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TABLE runs (
  run TEXT PRIMARY KEY, box TEXT, profile TEXT, spec TEXT, spec_digest TEXT, state TEXT,
  folder TEXT DEFAULT '', detach TEXT DEFAULT '', machine_id TEXT DEFAULT '', host_key TEXT DEFAULT '',
  created INTEGER, started INTEGER DEFAULT 0, last_look INTEGER DEFAULT 0, last_verdict TEXT DEFAULT '',
  last_summary TEXT DEFAULT '', manifest_digest TEXT DEFAULT '', manifest TEXT DEFAULT '');
CREATE TABLE evidence (
  run TEXT, cell TEXT, path TEXT, local_path TEXT, size INTEGER, sha256 TEXT, manifest_digest TEXT,
  format TEXT, reader TEXT, depth TEXT, verdict TEXT, findings TEXT, at INTEGER,
  PRIMARY KEY (run, cell, path));
CREATE TABLE teardowns (
  request TEXT PRIMARY KEY, box TEXT, action TEXT, verb TEXT, irreversible INTEGER,
  evidence_digest TEXT, state TEXT, channel TEXT DEFAULT '', approver TEXT DEFAULT '',
  created INTEGER, expires INTEGER DEFAULT 0, outcome TEXT DEFAULT '');
CREATE TABLE boxes (
  box TEXT PRIMARY KEY, profile TEXT, machine_id TEXT, host_key TEXT, first_seen INTEGER, last_seen INTEGER);
CREATE TABLE cell_memory (
  run TEXT, cell TEXT, inode INTEGER, offset INTEGER, last_change INTEGER, last_progress TEXT, tail TEXT,
  verdict TEXT, PRIMARY KEY (run, cell));
)sql";

// Version 2: how far a cell was at earlier looks, for rates and estimates.
constexpr const char* kVersion2 = "ALTER TABLE cell_memory ADD COLUMN pace TEXT DEFAULT '';";

constexpr std::array<const char*, kSchemaVersion> kSteps{kVersion1, kVersion2};

std::string text_of(const Json& body, const char* key) {
  const auto found = body.find(key);
  return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}
std::int64_t number_of(const Json& body, const char* key) {
  const auto found = body.find(key);
  return found != body.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}
std::int64_t flag_of(const Json& body, const char* key) {
  const auto found = body.find(key);
  return found != body.end() && found->is_boolean() && found->get<bool>() ? 1 : 0;
}

Result<void> finished(Connection& connection, Statement& statement) {
  while (statement.step()) {
  }
  if (!statement.ok()) return connection.last_error("update the views of");
  return {};
}

std::int64_t at_of(const Event& event) { return event.at.time_since_epoch().count(); }

Result<void> run_claimed(Connection& connection, const Event& event, const Json& body) {
  Statement statement = connection.prepare(
      "INSERT INTO runs (run, box, profile, spec, spec_digest, state, created) VALUES "
      "(?,?,?,?,?,'launching',?)");
  statement.bind(event.run)
      .bind(event.box)
      .bind(text_of(body, "profile"))
      .bind(text_of(body, "spec"))
      .bind(text_of(body, "spec_digest"))
      .bind(at_of(event));
  return finished(connection, statement);
}

Result<void> run_started(Connection& connection, const Event& event, const Json& body) {
  Statement statement = connection.prepare(
      "UPDATE runs SET state='running', folder=?, detach=?, machine_id=?, host_key=?, started=? "
      "WHERE run=?");
  statement.bind(text_of(body, "folder"))
      .bind(text_of(body, "detach"))
      .bind(text_of(body, "machine_id"))
      .bind(text_of(body, "host_key"))
      .bind(at_of(event))
      .bind(event.run);
  return finished(connection, statement);
}

Result<void> run_looked_at(Connection& connection, const Event& event, const Json& body) {
  Statement statement = connection.prepare(
      "UPDATE runs SET last_look=?, last_verdict=?, last_summary=?, "
      "state=CASE WHEN state IN ('abandoned','launching') THEN state WHEN ? THEN 'ended' ELSE "
      "'running' END WHERE run=?");
  statement.bind(at_of(event))
      .bind(text_of(body, "verdict"))
      .bind(text_of(body, "summary"))
      .bind(flag_of(body, "ended"))
      .bind(event.run);
  return finished(connection, statement);
}

Result<void> run_abandoned(Connection& connection, const Event& event, const Json&) {
  Statement statement = connection.prepare("UPDATE runs SET state='abandoned' WHERE run=?");
  statement.bind(event.run);
  return finished(connection, statement);
}

Result<void> manifest_taken(Connection& connection, const Event& event, const Json& body) {
  Statement statement =
      connection.prepare("UPDATE runs SET manifest_digest=?, manifest=? WHERE run=?");
  statement.bind(text_of(body, "digest")).bind(text_of(body, "manifest")).bind(event.run);
  return finished(connection, statement);
}

Result<void> artifact_checked(Connection& connection, const Event& event, const Json& body) {
  Statement statement = connection.prepare(
      "INSERT OR REPLACE INTO evidence (run, cell, path, local_path, size, sha256, "
      "manifest_digest, format, "
      "reader, depth, verdict, findings, at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)");
  statement.bind(event.run)
      .bind(text_of(body, "cell"))
      .bind(text_of(body, "path"))
      .bind(text_of(body, "local_path"))
      .bind(number_of(body, "size"))
      .bind(text_of(body, "sha256"))
      .bind(text_of(body, "manifest_digest"))
      .bind(text_of(body, "format"))
      .bind(text_of(body, "reader"))
      .bind(text_of(body, "depth"))
      .bind(text_of(body, "verdict"))
      .bind(text_of(body, "findings"))
      .bind(at_of(event));
  return finished(connection, statement);
}

Result<void> teardown_requested(Connection& connection, const Event& event, const Json& body) {
  Statement statement = connection.prepare(
      "INSERT INTO teardowns (request, box, action, verb, irreversible, evidence_digest, state, "
      "created) "
      "VALUES (?,?,?,?,?,?,?,?)");
  statement.bind(text_of(body, "request"))
      .bind(event.box)
      .bind(text_of(body, "action"))
      .bind(text_of(body, "verb"))
      .bind(flag_of(body, "irreversible"))
      .bind(text_of(body, "evidence_digest"))
      .bind(text_of(body, "state"))
      .bind(at_of(event));
  return finished(connection, statement);
}

Result<void> teardown_approved(Connection& connection, const Event&, const Json& body) {
  Statement statement = connection.prepare(
      "UPDATE teardowns SET state='approved', channel=?, approver=?, expires=? WHERE request=?");
  statement.bind(text_of(body, "channel"))
      .bind(text_of(body, "approver"))
      .bind(number_of(body, "expires"))
      .bind(text_of(body, "request"));
  return finished(connection, statement);
}

Result<void> teardown_denied(Connection& connection, const Event&, const Json& body) {
  Statement statement =
      connection.prepare("UPDATE teardowns SET state='denied', channel=? WHERE request=?");
  statement.bind(text_of(body, "channel")).bind(text_of(body, "request"));
  return finished(connection, statement);
}

Result<void> approval_used(Connection& connection, const Event&, const Json& body) {
  Statement statement = connection.prepare("UPDATE teardowns SET state='used' WHERE request=?");
  statement.bind(text_of(body, "request"));
  return finished(connection, statement);
}

Result<void> teardown_done(Connection& connection, const Event&, const Json& body) {
  Statement statement = connection.prepare("UPDATE teardowns SET outcome=? WHERE request=?");
  statement.bind(text_of(body, "outcome")).bind(text_of(body, "request"));
  return finished(connection, statement);
}

Result<void> box_seen(Connection& connection, const Event& event, const Json& body) {
  Statement statement = connection.prepare(
      "INSERT INTO boxes (box, profile, machine_id, host_key, first_seen, last_seen) VALUES "
      "(?,?,?,?,?,?) "
      "ON CONFLICT (box) DO UPDATE SET profile=excluded.profile, machine_id=excluded.machine_id, "
      "host_key=excluded.host_key, last_seen=excluded.last_seen");
  statement.bind(event.box)
      .bind(text_of(body, "profile"))
      .bind(text_of(body, "machine_id"))
      .bind(text_of(body, "host_key"))
      .bind(at_of(event))
      .bind(at_of(event));
  return finished(connection, statement);
}

using Apply = Result<void> (*)(Connection&, const Event&, const Json&);

// Every kind of event that changes a view. LEDGER.md says what each body holds.
const std::map<std::string, Apply, std::less<>>& appliers() {
  static const std::map<std::string, Apply, std::less<>> table{
      {"run_claimed", run_claimed},
      {"run_started", run_started},
      {"run_resumed", run_started},
      {"run_looked_at", run_looked_at},
      {"run_abandoned", run_abandoned},
      {"manifest_taken", manifest_taken},
      {"artifact_checked", artifact_checked},
      {"teardown_requested", teardown_requested},
      {"teardown_approved", teardown_approved},
      {"teardown_denied", teardown_denied},
      {"approval_used", approval_used},
      {"teardown_done", teardown_done},
      {"box_seen", box_seen}};
  return table;
}

Time time_at(std::int64_t milliseconds) { return Time(Milliseconds(milliseconds)); }

RunState parse_run_state(std::string_view name) {
  for (const RunState state :
       {RunState::launching, RunState::running, RunState::ended, RunState::abandoned}) {
    if (run_state_name(state) == name) return state;
  }
  return RunState::launching;
}

RequestState parse_request_state(std::string_view name) {
  for (const RequestState state :
       {RequestState::blocked, RequestState::waiting, RequestState::approved, RequestState::used,
        RequestState::denied, RequestState::expired}) {
    if (request_state_name(state) == name) return state;
  }
  return RequestState::blocked;
}

}  // namespace

std::string_view run_state_name(RunState state) {
  switch (state) {
    case RunState::launching: return "launching";
    case RunState::running: return "running";
    case RunState::ended: return "ended";
    case RunState::abandoned: return "abandoned";
  }
  return "launching";
}

std::string_view request_state_name(RequestState state) {
  switch (state) {
    case RequestState::blocked: return "blocked";
    case RequestState::waiting: return "waiting";
    case RequestState::approved: return "approved";
    case RequestState::used: return "used";
    case RequestState::denied: return "denied";
    case RequestState::expired: return "expired";
  }
  return "blocked";
}

namespace {

Result<std::int64_t> schema_version(Connection& connection) {
  Statement statement = connection.prepare("PRAGMA user_version");
  const std::int64_t version = statement.step() ? statement.number(0) : 0;
  if (!statement.ok()) return connection.last_error("read");
  if (version > kSchemaVersion) {
    return Error{Code::corrupt,
                 "the ledger has schema version " + std::to_string(version) +
                     ", this rgt knows up to " + std::to_string(kSchemaVersion),
                 "use the newer rgt that wrote it; nothing was changed"};
  }
  return version;
}

}  // namespace

Result<void> migrate(Connection& connection) {
  // A ledger that is up to date is not written to: every start of the program would wait for the
  // disk, and for another process that writes.
  auto version = schema_version(connection);
  if (!version) return version.error();
  if (*version == kSchemaVersion) return {};
  auto transaction = Transaction::begin(connection);
  if (!transaction) return transaction.error();
  version = schema_version(connection);  // another process may have been faster
  if (!version) return version.error();
  for (std::int64_t step = *version; step < kSchemaVersion; ++step) {
    if (auto done = connection.execute(kSteps[static_cast<std::size_t>(step)]); !done)
      return done.error();
  }
  const std::string mark = "PRAGMA user_version=" + std::to_string(kSchemaVersion);
  if (auto marked = connection.execute(mark.c_str()); !marked) return marked.error();
  return transaction->commit();
}

Result<void> apply_event(Connection& connection, const Event& event) {
  const auto found = appliers().find(event.kind);
  if (found == appliers().end()) return {};  // kinds that only tell, and those of a later version
  const Json body = Json::parse(event.body, nullptr, false);
  if (!body.is_object()) {
    return Error{Code::corrupt,
                 "event " + std::to_string(event.sequence) + " has a body that is no JSON object",
                 "run rgt doctor"};
  }
  return found->second(connection, event, body);
}

Result<void> clear_views(Connection& connection) {
  return connection.execute(
      "DELETE FROM runs; DELETE FROM evidence; DELETE FROM teardowns; DELETE FROM boxes; DELETE "
      "FROM cell_memory;");
}

RunRecord read_run(const Statement& row) {
  return RunRecord{.run = row.text(0),
                   .box = row.text(1),
                   .profile = row.text(2),
                   .spec = row.text(3),
                   .spec_digest = row.text(4),
                   .state = parse_run_state(row.text(5)),
                   .folder = row.text(6),
                   .detach = row.text(7),
                   .machine_id = row.text(8),
                   .host_key = row.text(9),
                   .created = time_at(row.number(10)),
                   .started = time_at(row.number(11)),
                   .last_look = time_at(row.number(12)),
                   .last_verdict = row.text(13),
                   .last_summary = row.text(14),
                   .manifest_digest = row.text(15)};
}

TeardownRecord read_teardown(const Statement& row) {
  return TeardownRecord{.request = row.text(0),
                        .box = row.text(1),
                        .action = row.text(2),
                        .verb = row.text(3),
                        .irreversible = row.number(4) != 0,
                        .evidence_digest = row.text(5),
                        .state = parse_request_state(row.text(6)),
                        .channel = row.text(7),
                        .approver = row.text(8),
                        .created = time_at(row.number(9)),
                        .expires = time_at(row.number(10)),
                        .outcome = row.text(11)};
}

EvidenceRecord read_evidence(const Statement& row) {
  return EvidenceRecord{.run = row.text(0),
                        .cell = row.text(1),
                        .path = row.text(2),
                        .local_path = row.text(3),
                        .size = static_cast<std::uint64_t>(row.number(4)),
                        .sha256 = row.text(5),
                        .manifest_digest = row.text(6),
                        .format = row.text(7),
                        .reader = row.text(8),
                        .depth = row.text(9),
                        .verdict = row.text(10),
                        .findings = row.text(11),
                        .at = time_at(row.number(12))};
}

}  // namespace rgt
