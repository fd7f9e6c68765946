// SPDX-License-Identifier: MIT
// The registry: which reader for which bytes. Content decides before the name does.
#include <algorithm>
#include <array>
#include <atomic>
#include <optional>

#include "core/artifact/file_facts.h"
#include "core/artifact/format.h"
#include "core/artifact/sweep.h"
#include "core/base/parallel.h"
#include "core/base/text.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesMost = 100000;
constexpr std::size_t kFindingsMost = 50;
constexpr std::uint64_t kFactsMost = 256u << 20;  // bytes: a million tensors' names take 100 MiB
constexpr std::size_t kFilesAtOnce =
    4;  // each of up to 4 threads: bounded memory, and disks differ
constexpr std::size_t kHeadBytes = 512;  // enough to know every format by

using Read = Result<void> (*)(const FileBytes&, Depth, std::stop_token, ArtifactReport&);

bool begins_like_safetensors(std::string_view head, std::uint64_t size) {
  if (head.size() < 9) return false;
  const std::uint64_t header = Cursor(head).little(8);
  return head[8] == '{' && header >= 2 && header <= size - 8;
}

bool has_ending(const fs::path& path, std::initializer_list<std::string_view> endings) {
  const std::string ending = to_lower(path.extension().string());
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

// Arrays, graphs and records, by what they begin with; then by their names, which are all that is
// left of a damaged one.
Read array_reader_for(std::string_view head) {
  if (head.starts_with("\x93NUMPY")) return read_npy;
  if (head.starts_with("GGUF")) return read_gguf;
  if (head.starts_with("\x89HDF\r\n\x1A\n")) return read_hdf5;
  return begins_like_tfrecord(head) ? read_tfrecord : nullptr;
}

Read named_array_reader(const fs::path& path) {
  const std::string name = path.filename().string();
  if (has_ending(path, {".npy"})) return read_npy;
  if (has_ending(path, {".npz", ".keras"})) return read_zip;
  if (has_ending(path, {".gguf"})) return read_gguf;
  if (has_ending(path, {".h5", ".hdf5"})) return read_hdf5;
  if (name.find(".tfevents.") != std::string::npos || has_ending(path, {".tfrecord", ".tfrecords"}))
    return read_tfrecord;
  if (has_ending(path, {".index"})) return read_tf_bundle;
  if (names_tf_shard(name)) return read_tf_shard;
  return has_ending(path, {".onnx"}) ? read_onnx : nullptr;  // it has no magic
}

Read reader_for(const fs::path& path, std::string_view head, std::uint64_t size) {
  if (head.starts_with("PK\x03\x04"))
    return has_ending(path, {".distcp"}) ? read_dcp_part : read_zip;
  if (const Read read = array_reader_for(head); read != nullptr) return read;
  if (has_ending(path, {".safetensors"}) || begins_like_safetensors(head, size))
    return read_safetensors;
  if (head.size() > 1 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5)
    return read_pytorch_legacy;
  if (head.size() > 262 && head.substr(257, 5) == "ustar") return read_pytorch_tar;
  if (const Read read = named_array_reader(path); read != nullptr) return read;
  if (has_ending(path, {".json"})) return read_json;
  if (has_ending(path, {".jsonl", ".ndjson"})) return read_json_lines;
  if (has_ending(path, {".csv", ".tsv"})) return read_csv;
  return nullptr;
}

// No reader knows these bytes.
void judge_plain(const fs::path& path, ArtifactReport& report) {
  report.format = "plain";
  report.reader = "plain/1";
  Judgement judgement(report);
  if (has_ending(path, {".pt", ".pth", ".ckpt"})) {
    judgement.fail(ArtifactVerdict::corrupt,
                   "it is named like a PyTorch checkpoint and does not begin like one");
  } else {
    judgement.fail(ArtifactVerdict::unverified,
                   "its format has no reader: only its digest can be compared");
  }
}

// Takes what is wanted of the digest and was not swept up with the proof.
Result<void> take_digest(const FileBytes& file, std::stop_token stop, ArtifactReport& report) {
  if (file.digest_wanted()) {
    if (auto swept = sweep(file, {}, {}, std::move(stop)); !swept) return swept.error();
  }
  report.sha256 = file.digest();
  return {};
}

struct NamedFormat {
  std::string_view ending;
  std::string_view formats;  // that the loader of such a file takes: words
};
// Only endings that promise one thing: .bin, .ckpt and .index are anything.
constexpr std::string_view kTorch = "pytorch_zip pytorch_legacy pytorch_tar torchscript";
constexpr std::array<NamedFormat, 10> kNamed{{{".safetensors", "safetensors"},
                                              {".pt", kTorch},
                                              {".pth", kTorch},
                                              {".gguf", "gguf"},
                                              {".npy", "npy"},
                                              {".npz", "npz"},
                                              {".onnx", "onnx"},
                                              {".keras", "keras hdf5"},  // hdf5: before Keras 2.12
                                              {".h5", "hdf5"},
                                              {".hdf5", "hdf5"}}};

// A file that is sound as something else than its name says will not load as what it is taken for;
// a pickle that calls itself safetensors is worse.
void judge_name(const fs::path& path, ArtifactReport& report) {
  const std::string ending = to_lower(path.extension().string());
  for (const NamedFormat& named : kNamed) {
    if (report.verdict != ArtifactVerdict::ok || named.ending != ending) continue;
    const auto takes = split(named.formats, ' ');
    if (std::find(takes.begin(), takes.end(), report.format) != takes.end()) continue;
    Judgement(report).fail(ArtifactVerdict::corrupt, "it is named " + ending + ", but is " +
                                                         report.format + ": what loads " + ending +
                                                         " files will refuse it; give it its name");
  }
}

Result<void> read_as_its_format(const FileBytes& file, const fs::path& path, Depth depth,
                                std::stop_token stop, ArtifactReport& report) {
  const auto head =
      file.read(0, static_cast<std::size_t>(std::min<std::uint64_t>(report.size, kHeadBytes)));
  if (!head) return head.error();
  const Read read = reader_for(path, *head, report.size);
  if (read == nullptr) {
    judge_plain(path, report);
    return {};
  }
  if (auto done = read(file, depth, std::move(stop), report); !done) return done;
  judge_name(path, report);
  return {};
}

bool is_about_the_bytes(const Error& error) {
  return error.code == Code::corrupt || error.code == Code::limit;
}

}  // namespace

void Judgement::add(Finding::Severity severity, std::string what) {
  if (report_.findings.size() < kFindingsMost)
    report_.findings.push_back({severity, std::move(what)});
}

void Judgement::fail(ArtifactVerdict verdict, std::string what) {
  add(Finding::Severity::error, std::move(what));
  // The worst stays: an attack is not hidden behind damage.
  if (!failed_ || verdict == ArtifactVerdict::hostile) report_.verdict = verdict;
  failed_ = true;
}

void ValueTotals::add(const ValueFacts& facts, std::uint64_t bytes, std::string_view name) {
  ++tensors;
  all_zero += bytes > 0 && facts.all_zero;
  if (facts.not_finite > 0 && not_finite == 0) first_not_finite = name;
  not_finite += facts.not_finite;
}

void report_values(const ValueTotals& totals, Judgement& judgement) {
  if (totals.not_finite > 0) {
    judgement.warn(std::to_string(totals.not_finite) +
                   " values are NaN or infinite, the first in " + totals.first_not_finite);
  }
  if (totals.all_zero > 0) {
    judgement.info(std::to_string(totals.all_zero) + " of " + std::to_string(totals.tensors) +
                   " tensors are all zero");
  }
  if (totals.all_zero == totals.tensors && totals.tensors > 0)
    judgement.warn("every tensor is all zero");
}

std::string_view depth_name(Depth depth) {
  constexpr std::array<std::string_view, 6> kNames{"present",   "digest", "structure",
                                                   "checksums", "values", "resume"};
  return kNames[static_cast<std::size_t>(depth)];
}

Result<Depth> parse_depth(std::string_view name) {
  std::vector<std::string> names;
  for (const Depth depth : {Depth::present, Depth::digest, Depth::structure, Depth::checksums,
                            Depth::values, Depth::resume}) {
    if (depth_name(depth) == name) return depth;
    names.emplace_back(depth_name(depth));
  }
  return Error{Code::invalid_argument, "no depth \"" + clean_line(name, 40) + "\"",
               "expected one of " + join(names, ", ")};
}

std::string_view artifact_verdict_name(ArtifactVerdict verdict) {
  constexpr std::array<std::string_view, 5> kNames{"ok", "corrupt", "hostile", "incomplete",
                                                   "unverified"};
  return kNames[static_cast<std::size_t>(verdict)];
}

Result<ArtifactReport> check_artifact(const fs::path& path, const CheckOptions& options,
                                      std::stop_token stop) {
  auto file = FileBytes::open(path);
  if (!file) return file.error();
  ArtifactReport report;
  report.path = path.string();
  report.size = file->size();
  if (report.size == 0) {
    report.format = "plain";
    report.reader = "plain/1";
    Judgement(report).fail(ArtifactVerdict::incomplete, "it is empty");
    return report;
  }
  if (options.depth == Depth::present) return report;
  if (options.digest) {
    file->want_digest();
    report.depth = Depth::digest;
  }
  if (options.depth > Depth::digest) {
    if (auto done = read_as_its_format(*file, path, options.depth, stop, report); !done) {
      if (!is_about_the_bytes(done.error())) return done.error();
      Judgement(report).fail(ArtifactVerdict::corrupt, done.error().message);
    }
  }
  if (auto done = take_digest(*file, stop, report); !done) {
    if (!is_about_the_bytes(done.error())) return done.error();
    Judgement(report).fail(ArtifactVerdict::incomplete, done.error().message);
  }
  // The digest and the proof must be of the same bytes.
  if (report.verdict == ArtifactVerdict::ok && !file->unchanged()) {
    Judgement(report).fail(
        ArtifactVerdict::incomplete,
        "it was written to while it was checked: check it again when its writer is done");
  }
  return report;
}

namespace {

// What is kept for the folders of a hundred thousand files stays bounded; what does not is told.
void bound_facts(ArtifactReport& report, std::atomic<std::uint64_t>& kept) {
  if (report.facts == nullptr) return;
  std::uint64_t memory = 0;
  for (const TensorFact& tensor : report.facts->tensors)
    memory += sizeof tensor + tensor.name.size() + tensor.shape.size() * sizeof(std::uint64_t);
  if ((kept += memory) <= kFactsMost) return;
  kept -= memory;
  report.facts->tensors = {};
  report.facts->partial = true;
}

// What a walk of `path` finds, sorted. Links are not followed: a tree is what it holds, not what it
// points at.
Result<void> list_files(const fs::path& path, std::vector<fs::path>& files) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    files.push_back(path);
    return {};
  }
  std::vector<fs::path> below;
  for (auto walk = fs::recursive_directory_iterator(path, error);
       !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (walk->path().filename() == ".rgt-partial") walk.disable_recursion_pending();
    // A file that vanishes meanwhile is no exception to throw.
    else if (std::error_code gone; fs::is_regular_file(walk->symlink_status(gone)))
      below.push_back(walk->path());
    if (below.size() + files.size() > kFilesMost)
      return Error{Code::limit, "more than 100,000 files below " + path.string(),
                   "check smaller folders"};
  }
  if (error)
    return Error{Code::io, "cannot walk " + path.string() + ": " + error.message(),
                 "check its permissions"};
  std::sort(below.begin(), below.end());
  files.insert(files.end(), below.begin(), below.end());
  return {};
}

}  // namespace

namespace {

// Which of the files are below one of the paths; equal ends where the path is a file itself.
struct Root {
  std::size_t begin = 0, end = 0;
};

Result<std::vector<ArtifactReport>> check_files(const std::vector<fs::path>& files,
                                                const CheckOptions& options, std::stop_token stop) {
  std::vector<std::optional<Result<ArtifactReport>>> results(files.size());
  std::atomic<std::size_t> next = 0;
  std::atomic<std::uint64_t> kept = 0;
  std::stop_source failed;  // the first error ends the others' work
  const std::stop_callback passed_on(stop, [&failed] { failed.request_stop(); });
  run_in_parallel(std::min<std::size_t>(files.size(), kFilesAtOnce), [&] {
    for (std::size_t i = next++; i < files.size() && !failed.stop_requested(); i = next++) {
      results[i] = check_artifact(files[i], options, failed.get_token());
      if (!results[i]->ok())
        failed.request_stop();
      else
        bound_facts(**results[i], kept);
    }
  });
  if (stop.stop_requested()) return Error{Code::cancelled, "stopped while checking", "call again"};
  std::vector<ArtifactReport> reports;
  for (auto& result : results) {
    // Those that were stopped because of another's error do not hide it.
    if (result && !result->ok() && result->error().code != Code::cancelled) return result->error();
    if (result && result->ok()) reports.push_back(std::move(**result));
  }
  require(reports.size() == files.size(), "a file without a report");
  return reports;
}

// Each folder's report behind the last of its files.
std::vector<ArtifactReport> with_folders(
    std::vector<ArtifactReport> reports,
    std::vector<std::pair<std::size_t, ArtifactReport>> folders) {
  std::stable_sort(folders.begin(), folders.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<ArtifactReport> all;
  auto folder = folders.begin();
  for (std::size_t i = 0; i < reports.size(); ++i) {
    all.push_back(std::move(reports[i]));
    for (; folder != folders.end() && folder->first == i; ++folder)
      all.push_back(std::move(folder->second));
  }
  return all;
}

}  // namespace

Result<std::vector<ArtifactReport>> check_paths(const std::vector<fs::path>& paths,
                                                const CheckOptions& options, std::stop_token stop) {
  std::vector<fs::path> files;
  std::vector<Root> roots;
  for (const fs::path& path : paths) {
    const std::size_t begin = files.size();
    if (auto listed = list_files(path, files); !listed) return listed.error();
    const bool is_itself = files.size() == begin + 1 && files.back() == path;
    roots.push_back({begin, is_itself ? begin : files.size()});
  }
  auto reports = check_files(files, options, stop);
  if (!reports) return reports;
  std::vector<std::pair<std::size_t, ArtifactReport>> folders;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::vector<ArtifactReport*> below;
    for (std::size_t file = roots[i].begin; file < roots[i].end; ++file)
      below.push_back(&(*reports)[file]);
    auto found = check_folders(paths[i], below, options, stop);
    if (!found) return found.error();
    for (FolderReport& folder : *found)
      folders.emplace_back(roots[i].begin + folder.last, std::move(folder.report));
  }
  return with_folders(std::move(*reports), std::move(folders));
}

}  // namespace rgt
