// SPDX-License-Identifier: MIT
#include "core/ledger/ledger.h"

#include <mutex>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/ledger/database.h"
#include "core/ledger/views.h"

namespace rgt {
namespace {

const std::string kNoHash(64, '0');  // "previous" of the first event

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Each field with its length in front, so that no two different events have the same bytes.
std::string hash_of(const Event& event) {
  Sha256 hash;
  const auto add = [&](std::string_view field) {
    const std::string head = std::to_string(field.size()) + ":";
    hash.update(head.data(), head.size());
    hash.update(field.data(), field.size());
  };
  add(std::to_string(event.sequence));
  add(std::to_string(event.at.time_since_epoch().count()));
  for (const std::string* field :
       {&event.kind, &event.run, &event.box, &event.body, &event.previous})
    add(*field);
  return hash.finish();
}

Event read_event(const Statement& row) {
  return Event{.sequence = row.number(0),
               .at = Time(Milliseconds(row.number(1))),
               .kind = row.text(2),
               .run = row.text(3),
               .box = row.text(4),
               .body = row.text(5),
               .previous = row.text(6),
               .hash = row.text(7)};
}

constexpr const char* kEventColumns = "sequence, at, kind, run, box, body, previous, hash";

}  // namespace

struct Ledger::Database {
  std::unique_ptr<Connection> connection = {};
  std::mutex mutex = {};

  // Inside a transaction of the caller: the event, the head that guards the end, and the views.
  Result<void> append(const std::string& kind, const std::string& run, const std::string& box,
                      const Json& body, Time now) {
    Event event{
        .at = now, .kind = kind, .run = run, .box = box, .body = dump(body), .previous = kNoHash};
    {
      Statement head = connection->prepare("SELECT sequence, hash FROM head");
      if (head.step()) {
        event.sequence = head.number(0);
        event.previous = head.text(1);
      }
      if (!head.ok()) return connection->last_error("read");
    }
    ++event.sequence;
    event.hash = hash_of(event);
    Statement insert = connection->prepare(
        "INSERT INTO events (sequence, at, kind, run, box, body, previous, hash) VALUES "
        "(?,?,?,?,?,?,?,?)");
    insert.bind(event.sequence)
        .bind(event.at.time_since_epoch().count())
        .bind(event.kind)
        .bind(event.run)
        .bind(event.box)
        .bind(event.body)
        .bind(event.previous)
        .bind(event.hash);
    while (insert.step()) {
    }
    if (!insert.ok()) return connection->last_error("append to");
    Statement move =
        connection->prepare("INSERT OR REPLACE INTO head (id, sequence, hash) VALUES (1,?,?)");
    move.bind(event.sequence).bind(event.hash);
    while (move.step()) {
    }
    if (!move.ok()) return connection->last_error("append to");
    return apply_event(*connection, event);
  }

  // One event, one transaction: what most writes are.
  Result<void> write(const std::string& kind, const std::string& run, const std::string& box,
                     const Json& body, Time now) {
    const std::scoped_lock lock(mutex);
    auto transaction = Transaction::begin(*connection);
    if (!transaction) return transaction.error();
    if (auto appended = append(kind, run, box, body, now); !appended) return appended.error();
    return transaction->commit();
  }

  Result<std::optional<RunRecord>> find_run(const std::string& run) {
    Statement row =
        connection->prepare(std::string("SELECT ") + kRunColumns + " FROM runs WHERE run=?");
    row.bind(run);
    std::optional<RunRecord> found;
    if (row.step()) found = read_run(row);
    if (!row.ok()) return connection->last_error("read");
    return found;
  }

  Result<std::optional<TeardownRecord>> find_teardown(const std::string& request) {
    Statement row = connection->prepare(std::string("SELECT ") + kTeardownColumns +
                                        " FROM teardowns WHERE request=?");
    row.bind(request);
    std::optional<TeardownRecord> found;
    if (row.step()) found = read_teardown(row);
    if (!row.ok()) return connection->last_error("read");
    return found;
  }
};

Ledger::Ledger(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(const std::filesystem::path& directory) {
  if (auto made = make_directories(directory, 0700); !made) return made.error();
  auto connection = Connection::open(directory / "ledger.sqlite3");
  if (!connection) return connection.error();
  if (auto migrated = migrate(**connection); !migrated) return migrated.error();
  auto database = std::make_unique<Database>();
  database->connection = std::move(*connection);
  return std::unique_ptr<Ledger>(new Ledger(std::move(database)));
}

// ---- runs

Result<ClaimResult> Ledger::claim_run(const RunRecord& run, Time now) {
  const std::scoped_lock lock(database_->mutex);
  auto transaction = Transaction::begin(*database_->connection);
  if (!transaction) return transaction.error();
  auto found = database_->find_run(run.run);
  if (!found) return found.error();
  if (found->has_value()) {
    const RunRecord& known = **found;
    if (known.spec_digest != run.spec_digest) {
      return Error{Code::conflict,
                   "the name " + run.run + " is taken by another job: the ledger has " +
                       known.spec_digest + ", this job is " + run.spec_digest,
                   "launch this job under another name; a run's job never changes under its name"};
    }
    return ClaimResult{known.state == RunState::launching ? Claim::taken_over : Claim::same, known};
  }
  const Json body{{"profile", run.profile}, {"spec", run.spec}, {"spec_digest", run.spec_digest}};
  if (auto appended = database_->append("run_claimed", run.run, run.box, body, now); !appended)
    return appended.error();
  auto created = database_->find_run(run.run);
  if (!created) return created.error();
  if (auto committed = transaction->commit(); !committed) return committed.error();
  return ClaimResult{Claim::created, **created};
}

Result<void> Ledger::run_started(const std::string& run, const std::string& folder,
                                 const std::string& detach, const std::string& machine_id,
                                 const std::string& host_key, bool resumed, Time now) {
  return database_->write(
      resumed ? "run_resumed" : "run_started", run, "",
      {{"folder", folder}, {"detach", detach}, {"machine_id", machine_id}, {"host_key", host_key}},
      now);
}

Result<void> Ledger::run_looked_at(const RunAssessment& assessment, Time now) {
  const std::scoped_lock lock(database_->mutex);
  auto transaction = Transaction::begin(*database_->connection);
  if (!transaction) return transaction.error();
  Json cells = Json::object();
  for (const CellAssessment& cell : assessment.cells) {
    cells[cell.cell] = verdict_name(cell.verdict);
    Statement keep = database_->connection->prepare(
        "INSERT OR REPLACE INTO cell_memory (run, cell, inode, offset, last_change, last_progress, "
        "tail, verdict, pace) "
        "VALUES (?,?,?,?,?,?,?,?,?)");
    keep.bind(assessment.run)
        .bind(cell.cell)
        .bind(static_cast<std::int64_t>(cell.memory.position.inode))
        .bind(static_cast<std::int64_t>(cell.memory.position.offset))
        .bind(cell.memory.last_change)
        .bind(cell.memory.last_progress)
        .bind(base64_encode(cell.memory.tail))
        .bind(verdict_name(cell.verdict))
        .bind(cell.memory.pace.text());
    while (keep.step()) {
    }
    if (!keep.ok()) return database_->connection->last_error("write");
  }
  const Json body{{"verdict", verdict_name(assessment.verdict)},
                  {"summary", assessment.summary},
                  {"ended", assessment.ended},
                  {"cells", std::move(cells)}};
  if (auto appended = database_->append("run_looked_at", assessment.run, "", body, now); !appended)
    return appended.error();
  return transaction->commit();
}

Result<void> Ledger::run_abandoned(const std::string& run, const std::string& by, Time now) {
  return database_->write("run_abandoned", run, "", {{"by", by}}, now);
}

Result<std::optional<RunRecord>> Ledger::find_run(const std::string& run) {
  const std::scoped_lock lock(database_->mutex);
  return database_->find_run(run);
}

Result<std::vector<RunRecord>> Ledger::runs() {
  const std::scoped_lock lock(database_->mutex);
  Statement row = database_->connection->prepare(std::string("SELECT ") + kRunColumns +
                                                 " FROM runs ORDER BY created, run");
  std::vector<RunRecord> runs;
  while (row.step()) runs.push_back(read_run(row));
  if (!row.ok()) return database_->connection->last_error("read");
  return runs;
}

Result<std::vector<CellMemory>> Ledger::cell_memory(const std::string& run) {
  const std::scoped_lock lock(database_->mutex);
  Statement row = database_->connection->prepare(
      "SELECT cell, inode, offset, last_change, last_progress, tail, pace FROM cell_memory WHERE "
      "run=? "
      "ORDER BY cell");
  row.bind(run);
  std::vector<CellMemory> memory;
  while (row.step()) {
    CellMemory cell;
    cell.cell = row.text(0);
    cell.position = {cell.cell, static_cast<std::uint64_t>(row.number(1)),
                     static_cast<std::uint64_t>(row.number(2))};
    cell.last_change = row.number(3);
    cell.last_progress = row.text(4);
    cell.tail = base64_decode(row.text(5)).value_or("");
    cell.pace = Pace::parse(row.text(6));
    memory.push_back(std::move(cell));
  }
  if (!row.ok()) return database_->connection->last_error("read");
  return memory;
}

// ---- evidence

Result<void> Ledger::manifest_taken(const std::string& run, const std::string& manifest_digest,
                                    const std::string& manifest_json, Time now) {
  return database_->write("manifest_taken", run, "",
                          {{"digest", manifest_digest}, {"manifest", manifest_json}}, now);
}

Result<std::optional<std::string>> Ledger::manifest_json(const std::string& run) {
  const std::scoped_lock lock(database_->mutex);
  Statement row =
      database_->connection->prepare("SELECT manifest FROM runs WHERE run=? AND manifest<>''");
  row.bind(run);
  std::optional<std::string> found;
  if (row.step()) found = row.text(0);
  if (!row.ok()) return database_->connection->last_error("read");
  return found;
}

Result<void> Ledger::artifacts_checked(const std::vector<EvidenceRecord>& evidence, Time now) {
  const std::scoped_lock lock(database_->mutex);
  auto transaction = Transaction::begin(*database_->connection);
  if (!transaction) return transaction.error();
  for (const EvidenceRecord& row : evidence) {
    const Json body{{"cell", row.cell},
                    {"path", row.path},
                    {"local_path", row.local_path},
                    {"size", row.size},
                    {"sha256", row.sha256},
                    {"manifest_digest", row.manifest_digest},
                    {"format", row.format},
                    {"reader", row.reader},
                    {"depth", row.depth},
                    {"verdict", row.verdict},
                    {"findings", row.findings}};
    if (auto appended = database_->append("artifact_checked", row.run, "", body, now); !appended)
      return appended.error();
  }
  return transaction->commit();
}

Result<std::vector<EvidenceRecord>> Ledger::evidence(const std::string& run) {
  const std::scoped_lock lock(database_->mutex);
  Statement row = database_->connection->prepare(std::string("SELECT ") + kEvidenceColumns +
                                                 " FROM evidence WHERE run=? ORDER BY cell, path");
  row.bind(run);
  std::vector<EvidenceRecord> evidence;
  while (row.step()) evidence.push_back(read_evidence(row));
  if (!row.ok()) return database_->connection->last_error("read");
  return evidence;
}

// ---- teardown

Result<void> Ledger::teardown_requested(const TeardownRecord& request, Time now) {
  require(request.state == RequestState::blocked || request.state == RequestState::waiting,
          "a request begins blocked or waiting");
  const Json body{{"request", request.request},
                  {"action", request.action},
                  {"verb", request.verb},
                  {"irreversible", request.irreversible},
                  {"evidence_digest", request.evidence_digest},
                  {"state", request_state_name(request.state)}};
  return database_->write("teardown_requested", "", request.box, body, now);
}

namespace {

Error no_request(const std::string& request) {
  return Error{Code::not_found, "no teardown request \"" + clean_line(request, 40) + "\"",
               "ask for one: rgt teardown BOX"};
}

Error wrong_state(const TeardownRecord& record, const std::string& expected) {
  return Error{Code::refused,
               "request " + record.request + " is " +
                   std::string(request_state_name(record.state)) + "; expected " + expected,
               "ask again: rgt teardown " + record.box};
}

Error other_evidence(const TeardownRecord& record) {
  return Error{Code::refused, "the evidence changed since request " + record.request + " was made",
               "ask again: rgt teardown " + record.box};
}

}  // namespace

Result<TeardownRecord> Ledger::approve(const std::string& request,
                                       const std::string& evidence_digest,
                                       const std::string& channel, const std::string& approver,
                                       Seconds lifetime, Time now) {
  const std::scoped_lock lock(database_->mutex);
  auto transaction = Transaction::begin(*database_->connection);
  if (!transaction) return transaction.error();
  auto found = database_->find_teardown(request);
  if (!found) return found.error();
  if (!found->has_value()) return no_request(request);
  if ((*found)->state != RequestState::waiting) return wrong_state(**found, "waiting");
  if (evidence_digest.empty() || (*found)->evidence_digest != evidence_digest)
    return other_evidence(**found);
  const Json body{{"request", request},
                  {"channel", channel},
                  {"approver", approver},
                  {"evidence_digest", evidence_digest},
                  {"expires", (now + lifetime).time_since_epoch().count()}};
  if (auto appended = database_->append("teardown_approved", "", (*found)->box, body, now);
      !appended)
    return appended.error();
  auto approved = database_->find_teardown(request);
  if (!approved) return approved.error();
  if (auto committed = transaction->commit(); !committed) return committed.error();
  return **approved;
}

Result<void> Ledger::deny(const std::string& request, const std::string& channel, Time now) {
  const std::scoped_lock lock(database_->mutex);
  auto transaction = Transaction::begin(*database_->connection);
  if (!transaction) return transaction.error();
  auto found = database_->find_teardown(request);
  if (!found) return found.error();
  if (!found->has_value()) return no_request(request);
  if ((*found)->state != RequestState::waiting) return wrong_state(**found, "waiting");
  const Json body{{"request", request}, {"channel", channel}};
  if (auto appended = database_->append("teardown_denied", "", (*found)->box, body, now); !appended)
    return appended.error();
  return transaction->commit();
}

Result<TeardownRecord> Ledger::use_approval(const std::string& request,
                                            const std::string& evidence_digest, Time now) {
  const std::scoped_lock lock(database_->mutex);
  auto transaction = Transaction::begin(*database_->connection);
  if (!transaction) return transaction.error();
  auto found = database_->find_teardown(request);
  if (!found) return found.error();
  if (!found->has_value()) return no_request(request);
  if ((*found)->state != RequestState::approved) return wrong_state(**found, "approved");
  if (now >= (*found)->expires) {
    return Error{Code::refused,
                 "the approval of " + request + " expired at " + to_iso8601((*found)->expires),
                 "ask again: rgt teardown " + (*found)->box};
  }
  if (evidence_digest.empty() || (*found)->evidence_digest != evidence_digest)
    return other_evidence(**found);
  if (auto appended =
          database_->append("approval_used", "", (*found)->box, {{"request", request}}, now);
      !appended) {
    return appended.error();
  }
  auto used = database_->find_teardown(request);
  if (!used) return used.error();
  if (auto committed = transaction->commit(); !committed) return committed.error();
  return **used;
}

Result<void> Ledger::teardown_done(const std::string& request, const std::string& outcome,
                                   Time now) {
  return database_->write("teardown_done", "", "", {{"request", request}, {"outcome", outcome}},
                          now);
}

Result<std::optional<TeardownRecord>> Ledger::find_teardown(const std::string& request) {
  const std::scoped_lock lock(database_->mutex);
  return database_->find_teardown(request);
}

Result<std::vector<TeardownRecord>> Ledger::teardowns(const std::string& box) {
  const std::scoped_lock lock(database_->mutex);
  Statement row = database_->connection->prepare(
      std::string("SELECT ") + kTeardownColumns +
      " FROM teardowns WHERE box=? ORDER BY created DESC, rowid DESC");
  row.bind(box);
  std::vector<TeardownRecord> records;
  while (row.step()) records.push_back(read_teardown(row));
  if (!row.ok()) return database_->connection->last_error("read");
  return records;
}

// ---- boxes

Result<void> Ledger::box_seen(const std::string& box, const std::string& profile,
                              const std::string& machine_id, const std::string& host_key,
                              Time now) {
  return database_->write(
      "box_seen", "", box,
      {{"profile", profile}, {"machine_id", machine_id}, {"host_key", host_key}}, now);
}

namespace {

Ledger::BoxRecord read_box(const Statement& row) {
  return {row.text(0),
          row.text(1),
          row.text(2),
          row.text(3),
          Time(Milliseconds(row.number(4))),
          Time(Milliseconds(row.number(5)))};
}

constexpr const char* kSelectBoxes =
    "SELECT box, profile, machine_id, host_key, first_seen, last_seen FROM boxes ";

}  // namespace

Result<std::optional<Ledger::BoxRecord>> Ledger::find_box(const std::string& box) {
  const std::scoped_lock lock(database_->mutex);
  Statement row = database_->connection->prepare(std::string(kSelectBoxes) + "WHERE box=?");
  row.bind(box);
  std::optional<BoxRecord> found;
  if (row.step()) found = read_box(row);
  if (!row.ok()) return database_->connection->last_error("read");
  return found;
}

Result<std::vector<Ledger::BoxRecord>> Ledger::boxes() {
  const std::scoped_lock lock(database_->mutex);
  Statement row = database_->connection->prepare(std::string(kSelectBoxes) + "ORDER BY box");
  std::vector<BoxRecord> boxes;
  while (row.step()) boxes.push_back(read_box(row));
  if (!row.ok()) return database_->connection->last_error("read");
  return boxes;
}

// ---- the truth itself

Result<std::vector<Event>> Ledger::events(std::int64_t after, std::size_t limit) {
  const std::scoped_lock lock(database_->mutex);
  Statement row =
      database_->connection->prepare(std::string("SELECT ") + kEventColumns +
                                     " FROM events WHERE sequence>? ORDER BY sequence LIMIT ?");
  row.bind(after).bind(static_cast<std::int64_t>(limit));
  std::vector<Event> events;
  while (row.step()) events.push_back(read_event(row));
  if (!row.ok()) return database_->connection->last_error("read");
  return events;
}

Result<std::int64_t> Ledger::newest_event() {
  const std::scoped_lock lock(database_->mutex);
  Statement row = database_->connection->prepare("SELECT COALESCE(MAX(sequence),0) FROM events");
  const std::int64_t newest = row.step() ? row.number(0) : 0;
  if (!row.ok()) return database_->connection->last_error("read");
  return newest;
}

Result<std::vector<Event>> Ledger::events_of_run(const std::string& run, std::size_t newest) {
  const std::scoped_lock lock(database_->mutex);
  Statement row = database_->connection->prepare(
      std::string("SELECT * FROM (SELECT ") + kEventColumns +
      " FROM events WHERE run=? ORDER BY sequence DESC LIMIT ?) ORDER BY sequence");
  row.bind(run).bind(static_cast<std::int64_t>(newest));
  std::vector<Event> events;
  while (row.step()) events.push_back(read_event(row));
  if (!row.ok()) return database_->connection->last_error("read");
  return events;
}

Result<ChainReport> Ledger::verify_chain() {
  const std::scoped_lock lock(database_->mutex);
  ChainReport report;
  std::string previous = kNoHash;
  const auto bad = [&](std::int64_t sequence, std::string why) {
    report.intact = false;
    report.first_bad = sequence;
    report.why = std::move(why);
    return report;
  };
  Statement row = database_->connection->prepare(std::string("SELECT ") + kEventColumns +
                                                 " FROM events ORDER BY sequence");
  while (row.step()) {
    const Event event = read_event(row);
    const std::string name = "event " + std::to_string(event.sequence);
    if (event.sequence != report.events + 1)
      return bad(report.events + 1, "an event is missing before " + name);
    if (event.previous != previous)
      return bad(event.sequence, name + " does not follow the one before it");
    if (event.hash != hash_of(event))
      return bad(event.sequence, name + " was changed after it was written");
    previous = event.hash;
    ++report.events;
  }
  if (!row.ok()) return database_->connection->last_error("read");
  Statement head = database_->connection->prepare("SELECT sequence, hash FROM head");
  const bool headed = head.step();
  if (headed ? head.number(0) != report.events || head.text(1) != previous : report.events != 0) {
    return bad(report.events + 1, "events are missing at the end");
  }
  return report;
}

Result<void> Ledger::rebuild_views() {
  const std::scoped_lock lock(database_->mutex);
  auto transaction = Transaction::begin(*database_->connection);
  if (!transaction) return transaction.error();
  if (auto cleared = clear_views(*database_->connection); !cleared) return cleared.error();
  Statement row = database_->connection->prepare(std::string("SELECT ") + kEventColumns +
                                                 " FROM events ORDER BY sequence");
  while (row.step()) {
    if (auto applied = apply_event(*database_->connection, read_event(row)); !applied)
      return applied.error();
  }
  if (!row.ok()) return database_->connection->last_error("read");
  return transaction->commit();
}

}  // namespace rgt
