// SPDX-License-Identifier: MIT
#include "tools/verify_folders.h"

#include <algorithm>

#include "core/base/text.h"

namespace rgt {
namespace {

std::string first_error(const ArtifactReport& report) {
  for (const Finding& finding : report.findings) {
    if (finding.severity == Finding::Severity::error) return finding.what;
  }
  return std::string(artifact_verdict_name(report.verdict));
}

}  // namespace

Result<std::vector<ArtifactReport>> judge_sets(const std::filesystem::path& root,
                                               const std::vector<CheckedFile>& files,
                                               std::stop_token stop) {
  std::vector<CheckedFile> read;
  std::vector<ArtifactReport*> reports;
  for (const CheckedFile& file : files) {
    if (*file.verdict != artifact_verdict_name(file.report->verdict) || file.report->format.empty())
      continue;
    read.push_back(file);
    reports.push_back(file.report);
  }
  auto sets = check_folders(root, reports, {}, std::move(stop));
  if (!sets) return sets.error();
  // A file that only its set proves has its verdict by now.
  for (const CheckedFile& file : read) *file.verdict = artifact_verdict_name(file.report->verdict);
  std::vector<ArtifactReport> all;
  for (FolderReport& set : *sets) {
    for (const std::size_t i : set.files) {
      if (set.report.verdict == ArtifactVerdict::ok || *read[i].verdict != "ok") continue;
      *read[i].verdict = artifact_verdict_name(set.report.verdict);
      read[i].report->findings.insert(
          read[i].report->findings.begin(),
          {Finding::Severity::error,
           "a file of a checkpoint that is " + *read[i].verdict + ": " + first_error(set.report)});
    }
    all.push_back(std::move(set.report));
  }
  return all;
}

}  // namespace rgt
