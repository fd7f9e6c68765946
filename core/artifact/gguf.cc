// SPDX-License-Identifier: MIT
// GGUF (llama.cpp): key-value metadata, tensor descriptions, then the tensors, each aligned, in the
// order of their descriptions. The format has no checksum. Source: ggml/docs/gguf.md, gguf.cpp.
#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "core/artifact/byte_window.h"
#include "core/artifact/format.h"
#include "core/artifact/sweep.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kPairsMost = 10000;     // of metadata; real files have under a hundred
constexpr std::uint64_t kTensorsMost = 200000;  // the largest models have thousands
constexpr std::uint64_t kItemsMost = 20000000;  // of metadata lists; vocabularies have 300,000
constexpr std::size_t kKeyMost = 4096;  // bytes; the specification allows 65535, real ones have 60
constexpr std::size_t kNameMost = 256;  // bytes; llama.cpp takes 63
constexpr int kNestingMost = 4;         // lists in lists; llama.cpp takes none
constexpr std::uint64_t kAlignmentMost = 1u << 20;  // bytes; 32 is usual, a page is 4096

struct GgmlType {
  const char* name = "";
  std::uint64_t elements = 1, bytes = 1;  // of a block
  ElementType type = ElementType::other;  // of the elements, or of the scales
  std::array<std::uint64_t, 2> scales = {};
  std::size_t scale_count = 0;
};

constexpr GgmlType scaled(const char* name, std::uint64_t elements, std::uint64_t bytes,
                          std::uint64_t scale) {
  return {name, elements, bytes, ElementType::f16, {scale, 0}, 1};
}
constexpr GgmlType two_scaled(const char* name, std::uint64_t elements, std::uint64_t bytes,
                              std::uint64_t one, std::uint64_t other) {
  return {name, elements, bytes, ElementType::f16, {one, other}, 2};
}

// ggml-common.h: the block structures, and where their `d` and `dmin` or `m` are.
const std::map<std::uint64_t, GgmlType>& ggml_types() {
  static const std::map<std::uint64_t, GgmlType> table{
      {0, {"F32", 1, 4, ElementType::f32}},
      {1, {"F16", 1, 2, ElementType::f16}},
      {2, scaled("Q4_0", 32, 18, 0)},
      {3, two_scaled("Q4_1", 32, 20, 0, 2)},
      {6, scaled("Q5_0", 32, 22, 0)},
      {7, two_scaled("Q5_1", 32, 24, 0, 2)},
      {8, scaled("Q8_0", 32, 34, 0)},
      {9, two_scaled("Q8_1", 32, 36, 0, 2)},
      {10, two_scaled("Q2_K", 256, 84, 80, 82)},
      {11, scaled("Q3_K", 256, 110, 108)},
      {12, two_scaled("Q4_K", 256, 144, 0, 2)},
      {13, two_scaled("Q5_K", 256, 176, 0, 2)},
      {14, scaled("Q6_K", 256, 210, 208)},
      {15, {"Q8_K", 256, 292, ElementType::f32, {0, 0}, 1}},
      {16, scaled("IQ2_XXS", 256, 66, 0)},
      {17, scaled("IQ2_XS", 256, 74, 0)},
      {18, scaled("IQ3_XXS", 256, 98, 0)},
      {19, scaled("IQ1_S", 256, 50, 0)},
      {20, scaled("IQ4_NL", 32, 18, 0)},
      {21, scaled("IQ3_S", 256, 110, 0)},
      {22, scaled("IQ2_S", 256, 82, 0)},
      {23, scaled("IQ4_XS", 256, 136, 0)},
      {24, {"I8", 1, 1}},
      {25, {"I16", 1, 2}},
      {26, {"I32", 1, 4}},
      {27, {"I64", 1, 8}},
      {28, {"F64", 1, 8, ElementType::f64}},
      {29, {"IQ1_M", 256, 56}},  // its scale is spread over four words
      {30, {"BF16", 1, 2, ElementType::bf16}},
      {34, scaled("TQ1_0", 256, 54, 52)},
      {35, scaled("TQ2_0", 256, 66, 64)},
      {39, {"MXFP4", 32, 17, ElementType::f8_e8m0, {0, 0}, 1}}};
  return table;
}

struct Tensor {
  std::string name = {};
  const GgmlType* type = nullptr;
  std::uint64_t elements = 0, bytes = 0, offset = 0;
};

// Metadata types 0 to 12; 8 is text and 9 a list.
constexpr std::array<std::size_t, 13> kWidths{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr std::uint64_t kUint32 = 4, kBool = 7, kText = 8, kList = 9;

class GgufReader {
 public:
  GgufReader(const FileBytes& file, std::stop_token stop, Judgement& judgement)
      : file_(file),
        window_(file),
        walk_(window_, 0, file.size()),
        stop_(std::move(stop)),
        judgement_(judgement) {}

  // False where the judgement failed or reading was stopped.
  bool read() {
    if (!read_version()) return false;
    const std::uint64_t tensors = number(8), pairs = number(8);
    if (!walk_.ok()) return cut();
    if (tensors > kTensorsMost || pairs > kPairsMost)
      return no("it would have " + std::to_string(tensors) + " tensors and " +
                std::to_string(pairs) + " metadata values: more than any model");
    for (std::uint64_t i = 0; i < pairs; ++i) {
      if (!read_pair()) return false;
    }
    for (std::uint64_t i = 0; i < tensors; ++i) {
      if (!read_tensor()) return false;
    }
    return check_layout();
  }

  const std::vector<Tensor>& tensors() const { return tensors_; }
  std::uint64_t data_at() const { return data_at_; }
  bool big_endian() const { return big_endian_; }
  const std::optional<Error>& trouble() const { return window_.trouble(); }

 private:
  bool no(const std::string& what) {
    judgement_.fail(ArtifactVerdict::corrupt, what);
    return false;
  }
  bool cut() { return no("it is cut in its head, at byte " + std::to_string(walk_.at())); }
  std::uint64_t number(std::size_t width) { return walk_.number(width, big_endian_); }

  bool read_version() {
    walk_.skip(4);
    const std::uint64_t version = walk_.number(4);
    // The byte order is not written down: a version that is huge in ours is small in the other.
    big_endian_ = (version & 0xFFFF) == 0 && version != 0;
    const std::uint64_t plain = big_endian_ ? version >> 24 | (version >> 8 & 0xFF00) : version;
    if (!walk_.ok()) return cut();
    if (plain == 0) return no("it has version 0, which no writer has");
    if (plain == 2 || plain == 3) return true;
    judgement_.fail(ArtifactVerdict::unverified,
                    "GGUF version " + std::to_string(plain) + " is not read here, 2 and 3 are");
    return false;
  }

  bool read_pair() {
    const std::string key = walk_.text(number(8), kKeyMost);
    const std::uint64_t type = number(4);
    if (!walk_.ok()) return cut();
    if (!is_valid_utf8(key) || key.empty()) return no("a metadata key is no text");
    if (!keys_.insert(key).second)
      return no("the metadata key " + clean_line(key, 80) + " is there twice");
    if (key == "general.alignment") {
      if (type != kUint32) return no("general.alignment is not a 32-bit number");
      alignment_ = number(4);
      const bool power = alignment_ > 0 && (alignment_ & (alignment_ - 1)) == 0;
      if (!walk_.ok()) return cut();
      return (power && alignment_ <= kAlignmentMost) ||
             no("general.alignment is " + std::to_string(alignment_));
    }
    return skip_value(type, key, 0);
  }

  bool skip_value(std::uint64_t type, const std::string& key, int depth) {
    const std::string at = "metadata " + clean_line(key, 80);
    if (type >= kWidths.size()) return no(at + " has the unknown type " + std::to_string(type));
    if (type == kText) {
      walk_.skip(number(8));
      return walk_.ok() || cut();
    }
    if (type == kBool) {
      if (number(1) > 1) return no(at + " is neither true nor false");
      return walk_.ok() || cut();
    }
    if (type != kList) {
      walk_.skip(kWidths[type]);
      return walk_.ok() || cut();
    }
    const std::uint64_t inner = number(4), count = number(8);
    if (!walk_.ok()) return cut();
    if (depth == kNestingMost) return no(at + " has lists in lists in lists");
    if (inner < kWidths.size() && kWidths[inner] > 0) {
      std::uint64_t bytes = 0;
      if (__builtin_mul_overflow(count, kWidths[inner], &bytes)) return cut();
      walk_.skip(bytes);
      return walk_.ok() || cut();
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      if (++items_ > kItemsMost) return no("its metadata has more texts than any vocabulary");
      if (i % 4096 == 0 && stop_.stop_requested()) return false;
      if (!skip_value(inner, key, depth + 1)) return false;
    }
    return true;
  }

  bool read_tensor() {
    Tensor tensor;
    tensor.name = walk_.text(number(8), kNameMost);
    const std::uint64_t rank = number(4);
    const std::string at = "tensor " + clean_line(tensor.name, 80);
    if (!walk_.ok()) return cut();
    if (tensor.name.empty() || !is_valid_utf8(tensor.name)) return no("a tensor's name is no text");
    if (!names_.insert(tensor.name).second) return no(at + " is there twice");
    if (rank > 4) return no(at + " has " + std::to_string(rank) + " dimensions, 4 are the most");
    std::array<std::uint64_t, 4> shape{1, 1, 1, 1};
    for (std::uint64_t i = 0; i < rank; ++i) shape[i] = number(8);
    const std::uint64_t id = number(4);
    tensor.offset = number(8);
    if (!walk_.ok()) return cut();
    const auto type = ggml_types().find(id);
    if (type == ggml_types().end()) {
      judgement_.fail(ArtifactVerdict::unverified, at + " has ggml type " + std::to_string(id) +
                                                       ", whose size is not known here");
      return false;
    }
    tensor.type = &type->second;
    tensor.elements = 1;
    bool overflow = false;
    for (const std::uint64_t size : shape)
      overflow |= __builtin_mul_overflow(tensor.elements, size, &tensor.elements);
    if (overflow || tensor.elements > (std::uint64_t{1} << 62))
      return no(at + " has a shape that overflows");
    if (shape[0] % tensor.type->elements != 0)
      return no(at + " has rows that do not end with a whole " + tensor.type->name + " block");
    if (__builtin_mul_overflow(tensor.elements / tensor.type->elements, tensor.type->bytes,
                               &tensor.bytes))
      return no(at + " has a shape that overflows");
    tensors_.push_back(std::move(tensor));
    return true;
  }

  std::uint64_t aligned(std::uint64_t at) const {
    return (at + alignment_ - 1) & ~(alignment_ - 1);
  }

  // ggml takes one layout only: each tensor where the one before it ends, rounded up.
  bool check_layout() {
    if (tensors_.empty()) {
      judgement_.fail(ArtifactVerdict::incomplete, "it holds no tensor");
      return false;
    }
    data_at_ = aligned(walk_.at());
    if (data_at_ > file_.size()) return cut();
    const std::uint64_t room = file_.size() - data_at_;
    std::uint64_t end = 0;
    for (const Tensor& tensor : tensors_) {
      const std::string at = "tensor " + clean_line(tensor.name, 80);
      const std::uint64_t begin = aligned(end);
      if (tensor.offset < begin) return no(at + " overlaps the one before it");
      if (tensor.offset > begin) return no("bytes before " + at + " belong to no tensor");
      if (begin > room || tensor.bytes > room - begin)
        return no(at + " ends outside of the file: it was cut, or is still being written");
      end = begin + tensor.bytes;
    }
    if (room > aligned(end))
      return no(std::to_string(room - end) + " bytes behind the last tensor belong to no tensor");
    return true;
  }

  const FileBytes& file_;
  ByteWindow window_;
  ByteWalk walk_;
  const std::stop_token stop_;
  Judgement& judgement_;
  bool big_endian_ = false;
  std::uint64_t alignment_ = 32, data_at_ = 0, items_ = 0;
  std::set<std::string> keys_ = {}, names_ = {};
  std::vector<Tensor> tensors_ = {};
};

Result<void> scan(const FileBytes& file, const GgufReader& reader, std::stop_token stop,
                  Judgement& judgement) {
  std::vector<Region> regions;
  for (const Tensor& tensor : reader.tensors()) {
    const GgmlType& type = *tensor.type;
    Region region{reader.data_at() + tensor.offset, tensor.bytes, type.type, reader.big_endian()};
    if (type.scale_count > 0) region.blocks = {type.bytes, type.scales, type.scale_count};
    regions.push_back(region);
  }
  const auto facts = sweep(file, regions, {.crc32 = false}, std::move(stop));
  if (!facts) return facts.error();
  ValueTotals totals;
  for (std::size_t i = 0; i < regions.size(); ++i) {
    totals.add((*facts)[i].values, regions[i].size,
               "tensor " + clean_line(reader.tensors()[i].name, 80));
  }
  report_values(totals, judgement);
  judgement.reached(Depth::values);
  return {};
}

}  // namespace

Result<void> read_gguf(const FileBytes& file, Depth depth, std::stop_token stop,
                       ArtifactReport& report) {
  report.format = "gguf";
  report.reader = "gguf/1";
  Judgement judgement(report);
  GgufReader reader(file, stop, judgement);
  const bool sound = reader.read();
  if (reader.trouble()) return *reader.trouble();
  if (stop.stop_requested()) return Error{Code::cancelled, "stopped while reading", "call again"};
  if (!sound) return {};
  report.tensors = reader.tensors().size();
  for (const Tensor& tensor : reader.tensors()) report.parameters += tensor.elements;
  judgement.reached(Depth::structure);
  report.verdict = ArtifactVerdict::ok;
  if (depth < Depth::values) return {};
  return scan(file, reader, std::move(stop), judgement);
}

}  // namespace rgt
