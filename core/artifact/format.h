// SPDX-License-Identifier: MIT
// One format's reader: fills a report about a file that is already open. Internal to this room; the
// list is in readers.cc.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/artifact/file_bytes.h"
#include "core/artifact/reader.h"
#include "core/artifact/value_scan.h"

namespace rgt {

// Collects findings, at most 50, and the worst verdict.
class Judgement {
 public:
  explicit Judgement(ArtifactReport& report) : report_(report) {}
  void info(std::string what) { add(Finding::Severity::info, std::move(what)); }
  void warn(std::string what) { add(Finding::Severity::warning, std::move(what)); }
  void fail(ArtifactVerdict verdict, std::string what);
  bool failed() const { return failed_; }
  void reached(Depth depth) {
    if (!failed_) report_.depth = depth;
  }

 private:
  void add(Finding::Severity severity, std::string what);
  ArtifactReport& report_;
  bool failed_ = false;
};

// Each sets report.format, reader, verdict, depth, tensors, findings. Only cancellation and broken
// disks are errors; whatever the bytes are is a verdict.
Result<void> read_pytorch_zip(const FileBytes& file, Depth depth, std::stop_token stop,
                              ArtifactReport& report);
Result<void> read_pytorch_legacy(const FileBytes& file, Depth depth, std::stop_token stop,
                                 ArtifactReport& report);
Result<void> read_pytorch_tar(const FileBytes& file, Depth depth, std::stop_token stop,
                              ArtifactReport& report);
Result<void> read_safetensors(const FileBytes& file, Depth depth, std::stop_token stop,
                              ArtifactReport& report);
Result<void> read_dcp_part(const FileBytes& file, Depth depth, std::stop_token stop,
                           ArtifactReport& report);
Result<void> read_json(const FileBytes& file, Depth depth, std::stop_token stop,
                       ArtifactReport& report);
Result<void> read_json_lines(const FileBytes& file, Depth depth, std::stop_token stop,
                             ArtifactReport& report);
Result<void> read_csv(const FileBytes& file, Depth depth, std::stop_token stop,
                      ArtifactReport& report);

// A zip archive is PyTorch's, numpy's or Keras'; all of its names decide.
Result<void> read_zip(const FileBytes& file, Depth depth, std::stop_token stop,
                      ArtifactReport& report);
Result<void> read_npy(const FileBytes& file, Depth depth, std::stop_token stop,
                      ArtifactReport& report);
Result<void> read_gguf(const FileBytes& file, Depth depth, std::stop_token stop,
                       ArtifactReport& report);
Result<void> read_onnx(const FileBytes& file, Depth depth, std::stop_token stop,
                       ArtifactReport& report);
Result<void> read_tfrecord(const FileBytes& file, Depth depth, std::stop_token stop,
                           ArtifactReport& report);
Result<void> read_tf_bundle(const FileBytes& file, Depth depth, std::stop_token stop,
                            ArtifactReport& report);
Result<void> read_tf_shard(const FileBytes& file, Depth depth, std::stop_token stop,
                           ArtifactReport& report);
Result<void> read_hdf5(const FileBytes& file, Depth depth, std::stop_token stop,
                       ArtifactReport& report);

// By what a reader is chosen where there is no plain magic.
bool begins_like_tfrecord(std::string_view head);
bool names_tf_shard(std::string_view file_name);

// Shared by the tensor formats: what a scan of all values found, as findings.
struct ValueTotals {
  std::uint64_t tensors = 0, not_finite = 0, all_zero = 0;
  std::string first_not_finite = {};
  void add(const ValueFacts& facts, std::uint64_t bytes, std::string_view name);
};
void report_values(const ValueTotals& totals, Judgement& judgement);

}  // namespace rgt
