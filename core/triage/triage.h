// SPDX-License-Identifier: MIT
// Triage: what a log ending, an exit code and a signal say about why a cell died. The knowledge is
// a table (core/triage/signatures.tsv, embedded), this is only the reader of it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rgt {

// The closed list of failure classes; "none" where nothing failed. Spelling = failure_class_name().
enum class FailureClass {
  none,
  disk_full_bytes,
  disk_full_inodes,
  quota_exceeded,
  host_oom,
  cuda_oom,
  shm_exhausted,
  nccl_failure,
  gpu_fault,
  driver_mismatch,
  nan_divergence,
  dataloader_worker_died,
  code_error,
  missing_file,
  permission,
  line_endings,
  network_transient,
  auth_failure,
  download_stalled,
  preemption,
  walltime,
  killed_unknown,
  unknown,
};
std::string_view failure_class_name(FailureClass failure);
std::optional<FailureClass> parse_failure_class(std::string_view name);

enum class Remediation {
  none,
  retry_same_config,
  resume_from_latest,
  prune_scratch_then_retry,
  ask_to_expand_disk,
  investigate_code,
  re_rent_box,
  check_console,
  pull_and_verify,
  remove_patrol,
};
std::string_view remediation_name(Remediation remediation);

struct FailureEvidence {
  std::string_view log_tail = {};  // untrusted bytes
  std::optional<int> exit_code = {};
  int signal = 0;                 // 0: none
  bool oom_kill_counted = false;  // the cgroup's oom_kill counter rose during the cell
  bool oom_counter_watched =
      false;  // ... and it was read until after the death: not risen is a fact
  std::optional<std::uint64_t> disk_free_bytes = {};  // at or near death
  std::optional<std::uint64_t> inodes_free = {};
};

struct Candidate {
  FailureClass failure = FailureClass::unknown;
  Remediation remediation = Remediation::none;
  int score = 0;                             // larger is surer; only comparable inside one triage
  std::string reason = {};                   // one sentence
  std::vector<std::string> evidence = {};    // quoted log lines, cleaned, at most 3 of 240 bytes
  std::vector<std::string> references = {};  // entry ids
};

struct Diagnosis {
  FailureClass failure = FailureClass::unknown;
  Remediation remediation = Remediation::none;
  std::vector<Candidate> candidates = {};  // ranked, at most 5; empty when unknown or none
  std::vector<std::string> tail = {};      // the last cleaned lines (at most 15), always
};

Diagnosis triage(const FailureEvidence& evidence);

}  // namespace rgt
