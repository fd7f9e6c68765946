// SPDX-License-Identifier: MIT
// numpy's .npz: a zip archive of .npy arrays. Its CRC-32s are checked for every array; numpy does
// so only for those that a program asks for.
#include <algorithm>
#include <optional>

#include <zlib.h>

#include "core/artifact/npy.h"
#include "core/artifact/sweep.h"
#include "core/artifact/zip_archive.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kPickleMost = 64u << 20;  // bytes, as for PyTorch's

std::string shown(const ZipEntry& entry) { return "array " + clean_line(entry.name, 80); }

// What the archive's sizes allow the array to be.
void judge_head(const ZipEntry& entry, const Result<NpyHead>& head, Judgement& judgement) {
  if (!head)
    judgement.fail(ArtifactVerdict::corrupt, shown(entry) + ": " + head.error().message);
  else if (!head->objects && head->size + head->bytes() != entry.plain)
    judgement.fail(ArtifactVerdict::corrupt,
                   shown(entry) + " has " + std::to_string(entry.plain - head->size) +
                       " bytes, its shape needs " + std::to_string(head->bytes()));
}

// An array as it comes out of its packing: first its head, then its values.
class Unpacked {
 public:
  void feed(std::string_view bytes) {
    if (scan_) return scan_->feed(bytes);
    if (broken_ || begin_.size() > kPickleMost) return;
    begin_ += bytes;
    if (head_ || begin_.size() < 12) return;
    const auto size = npy_head_size(begin_);
    if (size && begin_.size() < *size) return;
    head_ = read_npy_head(begin_);
    broken_ = !head_->ok();
    if (broken_) return;
    if ((*head_)->objects) return;  // they are kept for the judge
    scan_.emplace(**head_);
    scan_->feed(std::string_view(begin_).substr(static_cast<std::size_t>((*head_)->size)));
    begin_.clear();
  }
  Result<NpyHead> head() const {
    if (head_) return *head_;
    return Error{Code::corrupt, "npy: it is cut in its head", "the file is damaged"};
  }
  std::string_view objects() const {
    return std::string_view(begin_).substr(static_cast<std::size_t>((*head_)->size));
  }
  ValueFacts facts() const { return scan_ ? scan_->facts() : ValueFacts{}; }

 private:
  std::string begin_ = {};
  std::optional<Result<NpyHead>> head_ = {};
  std::optional<NpyScan> scan_ = {};
  bool broken_ = false;
};

class NpzReader {
 public:
  NpzReader(const FileBytes& file, const ZipArchive& zip, Depth depth, std::stop_token stop,
            ArtifactReport& report)
      : file_(file),
        zip_(zip),
        depth_(depth),
        stop_(std::move(stop)),
        report_(report),
        judgement_(report) {}

  Result<void> read() {
    for (const ZipEntry* entry : zip_.in_file_order()) {
      if (stop_.stop_requested())
        return Error{Code::cancelled, "stopped while reading", "call again"};
      if (auto done = read_entry(*entry); !done) return done;
    }
    if (judgement_.failed()) return {};
    judgement_.reached(Depth::structure);
    report_.verdict = ArtifactVerdict::ok;
    if (depth_ < Depth::checksums) return {};
    return sweep_stored();
  }

 private:
  Result<void> read_entry(const ZipEntry& entry) {
    if (entry.deflated) return read_deflated(entry);
    const auto begin =
        file_.read(entry.data, static_cast<std::size_t>(std::min<std::uint64_t>(entry.plain, 12)));
    if (!begin) return begin.error();
    Result<NpyHead> head = Error{};
    if (const auto size = npy_head_size(*begin); !size) {
      head = size.error();
    } else {
      const auto bytes =
          file_.read(entry.data, static_cast<std::size_t>(std::min(entry.plain, *size)));
      if (!bytes) return bytes.error();
      head = read_npy_head(*bytes);
    }
    judge_head(entry, head, judgement_);
    if (judgement_.failed()) return {};
    if (head->objects) return read_objects(entry, head->size);
    count(*head);
    stored_.emplace_back(&entry, std::move(*head));
    return {};
  }

  // At every depth: what is in it, even its head, is not known otherwise. Its CRC comes with it.
  Result<void> read_deflated(const ZipEntry& entry) {
    Unpacked unpacked;
    if (auto done = zip_.read(entry, stop_, [&](std::string_view bytes) { unpacked.feed(bytes); });
        !done)
      return done;
    const auto head = unpacked.head();
    judge_head(entry, head, judgement_);
    if (judgement_.failed()) return {};
    if (head->objects) {
      if (entry.plain <= kPickleMost) judge_npy_objects(unpacked.objects(), judgement_);
      judgement_.fail(ArtifactVerdict::unverified, shown(entry) + " holds objects");
      return {};
    }
    count(*head);
    totals_.add(unpacked.facts(), head->bytes(), shown(entry));
    return {};
  }

  Result<void> read_objects(const ZipEntry& entry, std::uint64_t head) {
    if (entry.plain <= kPickleMost) {
      const auto pickle =
          file_.read(entry.data + head, static_cast<std::size_t>(entry.plain - head));
      if (!pickle) return pickle.error();
      judge_npy_objects(*pickle, judgement_);
    }
    judgement_.fail(ArtifactVerdict::unverified, shown(entry) + " holds objects");
    return {};
  }

  void count(const NpyHead& head) {
    ++report_.tensors;
    report_.parameters += head.elements;
  }

  // Each stored array is two regions, its head and its values, whose CRCs join to the entry's.
  Result<void> sweep_stored() {
    std::vector<Region> regions;
    for (const auto& [entry, head] : stored_) {
      regions.push_back({entry->data, head.size});
      const bool plain = head.is_plain();
      regions.push_back({entry->data + head.size, head.bytes(),
                         plain ? head.fields[0].type : ElementType::other,
                         plain && head.fields[0].big_endian});
    }
    const auto facts = sweep(file_, regions, {.values = depth_ >= Depth::values}, stop_);
    if (!facts) return facts.error();
    for (std::size_t i = 0; i < stored_.size(); ++i) {
      const auto& [entry, head] = stored_[i];
      const RegionFacts& values = (*facts)[2 * i + 1];
      const auto crc = static_cast<std::uint32_t>(
          ::crc32_combine((*facts)[2 * i].crc32, values.crc32, static_cast<z_off_t>(head.bytes())));
      if (auto same = zip_.check_crc(*entry, crc); !same) return same;
      if (depth_ < Depth::values) continue;
      const auto fields = head.is_plain() ? values.values : scan_fields(*entry, head);
      if (!fields) return fields.error();
      totals_.add(*fields, head.bytes(), shown(*entry));
    }
    judgement_.reached(Depth::checksums);
    if (depth_ < Depth::values) return {};
    report_values(totals_, judgement_);
    judgement_.reached(Depth::values);
    return {};
  }

  Result<ValueFacts> scan_fields(const ZipEntry& entry, const NpyHead& head) const {
    NpyScan scan(head);
    if (auto done = file_.for_each_piece(entry.data + head.size, head.bytes(), stop_,
                                         [&](std::string_view bytes) { scan.feed(bytes); });
        !done)
      return done.error();
    return scan.facts();
  }

  const FileBytes& file_;
  const ZipArchive& zip_;
  const Depth depth_;
  const std::stop_token stop_;
  ArtifactReport& report_;
  Judgement judgement_;
  std::vector<std::pair<const ZipEntry*, NpyHead>> stored_ = {};  // in the file's order
  ValueTotals totals_ = {};
};

}  // namespace

bool is_npz(const ZipArchive& zip) {
  const auto& entries = zip.entries();
  return !entries.empty() && std::all_of(entries.begin(), entries.end(), [](const ZipEntry& entry) {
    return entry.name.ends_with(".npy");
  });
}

Result<void> read_npz(const FileBytes& file, const ZipArchive& zip, Depth depth,
                      std::stop_token stop, ArtifactReport& report) {
  report.format = "npz";
  report.reader = "npz/1";
  return NpzReader(file, zip, depth, std::move(stop), report).read();
}

}  // namespace rgt
