// SPDX-License-Identifier: MIT
#include "tools/pulled.h"

#include <algorithm>

#include "core/base/json.h"
#include "tools/pull_run.h"
#include "tools/report.h"

namespace rgt {
namespace {

std::optional<std::uint64_t> size_here(const std::filesystem::path& path) {
  std::error_code absent;
  const auto size = std::filesystem::file_size(path, absent);
  if (absent) return {};
  return size;
}

}  // namespace

std::optional<Pulled> pulled_of(Environment& environment, const std::string& run) {
  const auto text = environment.ledger->manifest_json(run);
  if (!text || !text->has_value()) return {};
  const Json manifest = Json::parse(**text, nullptr, false);
  if (!manifest.is_object() || !manifest.contains("entries")) return {};
  const auto evidence = environment.ledger->evidence(run);
  Pulled pulled;
  for (const Json& entry : manifest["entries"]) {
    const std::string cell = text_or(entry, "cell"), path = text_or(entry, "path");
    ++pulled.expected;
    std::filesystem::path local = artifact_place(environment.artifact_root, run, cell, path);
    if (evidence) {  // pulled somewhere else on purpose
      const auto known =
          std::find_if(evidence->begin(), evidence->end(), [&](const EvidenceRecord& row) {
            return row.cell == cell && row.path == path && !row.local_path.empty();
          });
      if (known != evidence->end()) local = known->local_path;
    }
    const auto size = size_here(local);
    if (!size) {
      // On its way: whatever is there waits for the rest, or for its digest.
      const auto part = incoming_place(environment.artifact_root, run, cell, path);
      if (size_here(part)) ++pulled.short_;
      continue;
    }
    (static_cast<std::int64_t>(*size) == integer_or(entry, "size", -1) ? pulled.whole
                                                                       : pulled.short_) += 1;
  }
  return pulled;
}

bool is_proven(Environment& environment, const RunRecord& record) {
  const auto evidence = environment.ledger->evidence(record.run);
  const bool loaded =
      evidence && !evidence->empty() &&
      std::all_of(evidence->begin(), evidence->end(), [&](const EvidenceRecord& row) {
        return row.verdict == "ok" && row.manifest_digest == record.manifest_digest;
      });
  if (!loaded) return false;
  const auto pulled = pulled_of(environment, record.run);
  return pulled && pulled->whole == pulled->expected;
}

}  // namespace rgt
