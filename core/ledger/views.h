// SPDX-License-Identifier: MIT
// The views: tables derived from the events, and from nothing else. One function applies one event,
// in the transaction that appends it and again when the views are rebuilt, so that the two cannot
// differ.
#pragma once

#include "core/base/result.h"
#include "core/ledger/database.h"
#include "core/ledger/records.h"

namespace rgt {

inline constexpr int kSchemaVersion = 2;

// Brings an empty or older database to kSchemaVersion, step by step, inside one transaction. A
// newer one is Code::corrupt with the words to say: this rgt is too old for it.
Result<void> migrate(Connection& connection);

Result<void> apply_event(Connection& connection, const Event& event);
Result<void> clear_views(Connection& connection);

RunRecord read_run(const Statement& row);            // columns as in kRunColumns
TeardownRecord read_teardown(const Statement& row);  // columns as in kTeardownColumns
EvidenceRecord read_evidence(const Statement& row);  // columns as in kEvidenceColumns

inline constexpr const char* kRunColumns =
    "run, box, profile, spec, spec_digest, state, folder, detach, machine_id, host_key, created, "
    "started, "
    "last_look, last_verdict, last_summary, manifest_digest";
inline constexpr const char* kTeardownColumns =
    "request, box, action, verb, irreversible, evidence_digest, state, channel, approver, created, "
    "expires, outcome";
inline constexpr const char* kEvidenceColumns =
    "run, cell, path, local_path, size, sha256, manifest_digest, format, reader, depth, verdict, "
    "findings, at";

}  // namespace rgt
