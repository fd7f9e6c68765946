// SPDX-License-Identifier: MIT
// The pull half of verify_artifacts: what of a manifest lies here, what must still come and whether
// there is room for it, and the way from the box into `.rgt-incoming` and, once the digest is the
// manifest's, to its place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/artifact/reader.h"
#include "core/box/job.h"
#include "core/box/manifest.h"
#include "tools/environment.h"
#include "tools/tool.h"

namespace rgt {

struct ArtifactItem {
  ManifestEntry entry = {};
  std::filesystem::path local = {};     // its place
  std::filesystem::path incoming = {};  // where it arrives
  bool wanted = false;         // it must come from the box; then `incoming` is what is judged
  bool by_difference = false;  // other bytes of it lie here: only the difference is sent
  std::string verdict = {};    // artifact_verdict_name, "missing", "not_pulled", "digest_mismatch"
  ArtifactReport report = {};

  const std::filesystem::path& here() const { return wanted ? incoming : local; }
};

// Everything of one run lives in <root>/<run>: <cell>/<path>, and below .rgt-incoming what is under
// way. Names are safe, the manifest's paths were checked.
std::filesystem::path artifact_place(const std::filesystem::path& root, const std::string& run,
                                     const std::string& cell, const std::string& path);
std::filesystem::path incoming_place(const std::filesystem::path& root, const std::string& run,
                                     const std::string& cell, const std::string& path);

// Where on the box checkpoints may lie that nobody named and that are lost with it: home, /tmp,
// where the cells work, and the platform's disks that do not survive. None on this machine.
std::vector<std::string> places_that_are_lost(Environment& environment, const RunRecord& run,
                                              const JobSpec& job);

// One item per entry of the manifest, with `wanted` where nothing lies here, or an older version
// that `evidence` knows. A local copy with unknown bytes is wanted only if `repull`.
Result<std::vector<ArtifactItem>> plan_pull(const Manifest& manifest,
                                            const std::filesystem::path& root,
                                            const std::vector<EvidenceRecord>& evidence,
                                            bool repull, const Call& call);

// Bring the wanted items to their `incoming`. Checks the room first; goes on by itself when a link
// was cut and each try brings something. Bytes on the wire.
Result<std::uint64_t> pull_items(Environment& environment, const RunRecord& run, const JobSpec& job,
                                 const std::filesystem::path& root,
                                 std::vector<ArtifactItem>& items, const Call& call);

// Moves one item whose bytes are the manifest's to its place, safe on the disk before it is there.
Result<void> settle(const std::filesystem::path& root, const std::string& run, ArtifactItem& item);

// Removes what `pull_items` needed, if nothing of it waits for a next pull.
void clear_incoming(const std::filesystem::path& root, const std::string& run,
                    const std::vector<ArtifactItem>& items);

}  // namespace rgt
