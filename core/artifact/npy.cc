// SPDX-License-Identifier: MIT
// numpy's .npy: a head, then the array without a gap. numpy.save may be called several times on one
// file, so another array may follow. The format has no checksum.
#include "core/artifact/npy.h"

#include <algorithm>

#include "core/artifact/sweep.h"
#include "core/artifact/torch_model.h"
#include "core/artifact/unpickler.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kPickleMost = 64u << 20;  // bytes, as for PyTorch's
constexpr std::size_t kArraysMost = 100000;

struct Array {
  NpyHead head = {};
  std::uint64_t at = 0;  // where its values begin
};

Result<NpyHead> head_at(const FileBytes& file, std::uint64_t at) {
  const std::uint64_t left = file.size() - at;
  const auto begin = file.read(at, static_cast<std::size_t>(std::min<std::uint64_t>(left, 12)));
  if (!begin) return begin.error();
  const auto size = npy_head_size(*begin);
  if (!size) return size.error();
  const auto bytes = file.read(at, static_cast<std::size_t>(std::min(left, *size)));
  if (!bytes) return bytes.error();
  return read_npy_head(*bytes);
}

// Empty where the judgement failed.
Result<std::vector<Array>> find_arrays(const FileBytes& file, Judgement& judgement) {
  std::vector<Array> arrays;
  for (std::uint64_t at = 0; at < file.size();) {
    auto head = head_at(file, at);
    if (!head && !arrays.empty() && head.error().code == Code::corrupt)
      return Error{
          Code::corrupt,
          std::to_string(file.size() - at) + " bytes behind the array belong to no other one", ""};
    if (!head) return head.error();
    if (arrays.size() == kArraysMost) return Error{Code::limit, "more arrays than we read", ""};
    at += head->size;
    if (head->objects) {
      if (file.size() - at > kPickleMost) {
        judgement.fail(ArtifactVerdict::unverified, "it holds more objects than we read");
        return std::vector<Array>();
      }
      const auto pickle = file.read(at, static_cast<std::size_t>(file.size() - at));
      if (!pickle) return pickle.error();
      judge_npy_objects(*pickle, judgement);
      return std::vector<Array>();
    }
    if (head->bytes() > file.size() - at) {
      judgement.fail(ArtifactVerdict::corrupt, "its shape needs " + std::to_string(head->bytes()) +
                                                   " bytes, " + std::to_string(file.size() - at) +
                                                   " are there: it was cut");
      return std::vector<Array>();
    }
    const std::uint64_t end = at + head->bytes();
    arrays.push_back({std::move(*head), at});
    at = end;
  }
  return arrays;
}

Result<void> scan(const FileBytes& file, const std::vector<Array>& arrays, std::stop_token stop,
                  Judgement& judgement) {
  std::vector<Region> regions;
  for (const Array& array : arrays) {
    const bool plain = array.head.is_plain();
    regions.push_back({array.at, array.head.bytes(),
                       plain ? array.head.fields[0].type : ElementType::other,
                       plain && array.head.fields[0].big_endian});
  }
  const auto facts = sweep(file, regions, {.crc32 = false}, stop);
  if (!facts) return facts.error();
  ValueTotals totals;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    ValueFacts values = (*facts)[i].values;
    // What has several fields is read once more: the sweep knows one kind of number per region.
    if (!arrays[i].head.is_plain()) {
      NpyScan fields(arrays[i].head);
      if (auto done = file.for_each_piece(arrays[i].at, arrays[i].head.bytes(), stop,
                                          [&](std::string_view bytes) { fields.feed(bytes); });
          !done)
        return done;
      values = fields.facts();
    }
    totals.add(values, arrays[i].head.bytes(), "array " + std::to_string(i + 1));
  }
  report_values(totals, judgement);
  judgement.reached(Depth::values);
  return {};
}

}  // namespace

void judge_npy_objects(std::string_view bytes, Judgement& judgement) {
  std::vector<std::string> seen;
  const auto pickle = read_pickle(bytes, &seen);
  judge_attacks(bytes, judgement);
  if (judgement.failed()) return;
  if (!pickle) {
    const bool bomb = pickle.error().code == Code::limit;
    return judgement.fail(bomb ? ArtifactVerdict::hostile : ArtifactVerdict::corrupt,
                          "its objects: " + pickle.error().message);
  }
  const std::string_view behind = bytes.substr(pickle->size);
  judge_attacks(behind, judgement);
  if (!behind.empty() && !behind.starts_with(kNpyMagic))
    judgement.fail(ArtifactVerdict::corrupt, "bytes behind the end of its objects");
  judgement.fail(ArtifactVerdict::unverified,
                 "it holds Python objects, which numpy rebuilds only with allow_pickle=True: " +
                     (seen.empty() ? "none with a class" : clean_line(join(seen, ", "), 300)));
}

Result<void> read_npy(const FileBytes& file, Depth depth, std::stop_token stop,
                      ArtifactReport& report) {
  report.format = "npy";
  report.reader = "npy/1";
  Judgement judgement(report);
  const auto arrays = find_arrays(file, judgement);
  if (!arrays) return arrays.error();
  if (judgement.failed()) return {};
  if (arrays->empty())
    return judgement.fail(ArtifactVerdict::incomplete, "it is empty"), Result<void>();
  report.tensors = arrays->size();
  for (const Array& array : *arrays) report.parameters += array.head.elements;
  if (report.tensors > 1) {
    judgement.warn(std::to_string(report.tensors) +
                   " arrays, one behind the other: numpy.load gives the first only");
  }
  judgement.reached(Depth::structure);
  report.verdict = ArtifactVerdict::ok;
  if (depth < Depth::values) return {};
  return scan(file, *arrays, stop, judgement);
}

}  // namespace rgt
