// SPDX-License-Identifier: MIT
// safetensors: eight bytes of header length, a JSON header, then the tensors without a gap. The
// format has no checksum, so the deepest proof is the digest and the values.
#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "core/artifact/file_facts.h"
#include "core/artifact/format.h"
#include "core/artifact/sweep.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kHeaderMost = 100000000;  // the reference implementation's own limit
constexpr std::size_t kNamesMost =
    1000000;  // bounds memory; the largest models have 100,000 tensors

struct Dtype {
  std::uint64_t bits = 0;
  ElementType type = ElementType::other;
};

const std::map<std::string, Dtype, std::less<>>& dtypes() {
  static const std::map<std::string, Dtype, std::less<>> table{
      {"F64", {64, ElementType::f64}},
      {"F32", {32, ElementType::f32}},
      {"F16", {16, ElementType::f16}},
      {"BF16", {16, ElementType::bf16}},
      {"F8_E4M3", {8, ElementType::f8_e4m3}},
      {"F8_E5M2", {8, ElementType::f8_e5m2}},
      {"F8_E8M0", {8, ElementType::f8_e8m0}},
      {"F8_E4M3FNUZ", {8, ElementType::f8_fnuz}},
      {"F8_E5M2FNUZ", {8, ElementType::f8_fnuz}},
      {"F6_E2M3", {6, ElementType::other}},
      {"F6_E3M2", {6, ElementType::other}},
      {"F4", {4, ElementType::other}},
      {"I64", {64, ElementType::other}},
      {"U64", {64, ElementType::other}},
      {"I32", {32, ElementType::other}},
      {"U32", {32, ElementType::other}},
      {"I16", {16, ElementType::other}},
      {"U16", {16, ElementType::other}},
      {"I8", {8, ElementType::other}},
      {"U8", {8, ElementType::other}},
      {"BOOL", {8, ElementType::other}},
      {"C64", {64, ElementType::f32}}};
  return table;
}

struct Tensor {
  std::string name = {};
  std::string dtype = {};
  std::vector<std::uint64_t> shape = {};
  std::uint64_t begin = 0, end = 0;
};

// A SAX reader, because a DOM would silently keep the last of two equal keys.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<Tensor> tensors = {};
  std::string trouble = {};

  bool null() override { return no("null"); }
  bool boolean(bool) override { return no("true or false"); }
  bool number_float(number_float_t, const string_t&) override { return no("a fraction"); }
  bool binary(binary_t&) override { return no("binary"); }
  bool number_integer(number_integer_t) override { return no("a negative number"); }
  bool number_unsigned(number_unsigned_t value) override {
    if (list_ == List::none) return no("a number");
    if (numbers_.size() == 64) return no("more than 64 dimensions");
    numbers_.push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) return true;
    if (depth_ != 2 || field_ != "dtype") return no("text");
    tensors.back().dtype = value;
    return true;
  }
  bool start_object(std::size_t) override {
    if (depth_ == 2 || list_ != List::none) return no("an object");
    ++depth_;
    fields_.clear();
    if (depth_ == 2 && !in_metadata_) tensors.push_back({.name = name_});
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && !in_metadata_ && fields_.size() != 3)
      return no("an entry without dtype, shape or data_offsets");
    --depth_;
    in_metadata_ = false;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || list_ != List::none) return no("a list");
    if (field_ == "shape")
      list_ = List::shape;
    else if (field_ == "data_offsets")
      list_ = List::offsets;
    else
      return no("a list");
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    if (list_ == List::shape) tensors.back().shape = numbers_;
    if (list_ == List::offsets) {
      if (numbers_.size() != 2) return no("data_offsets without two numbers");
      tensors.back().begin = numbers_[0];
      tensors.back().end = numbers_[1];
    }
    list_ = List::none;
    return true;
  }
  bool key(string_t& value) override {
    if (depth_ == 1) {
      if (names_.size() == kNamesMost) return no("more names than any model");
      if (!names_.insert(value).second) return no("the name " + clean_line(value, 80) + " twice");
      name_ = value;
      in_metadata_ = value == "__metadata__";
      return true;
    }
    if (fields_.size() == kNamesMost) return no("more names than any model");
    if (!fields_.insert(value).second) return no("the key " + clean_line(value, 80) + " twice");
    if (!in_metadata_ && value != "dtype" && value != "shape" && value != "data_offsets")
      return no("the key " + clean_line(value, 80));
    field_ = value;
    return true;
  }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception&) override {
    trouble = "the header is no JSON (byte " + std::to_string(at) + ")";
    return false;
  }

 private:
  enum class List { none, shape, offsets };
  bool no(const std::string& what) {
    trouble = "the header holds " + what + " where that cannot be" +
              (name_.empty() ? "" : " (at " + clean_line(name_, 80) + ")");
    return false;
  }
  int depth_ = 0;
  bool in_metadata_ = false;
  List list_ = List::none;
  std::string name_ = {}, field_ = {};
  std::set<std::string> names_ = {}, fields_ = {};
  std::vector<std::uint64_t> numbers_ = {};
};

// Shape and dtype say how many bytes a tensor has; the offsets must say the same.
std::string check_tensor(const Tensor& tensor, std::uint64_t data_size) {
  const std::string name = "tensor " + clean_line(tensor.name, 80);
  const auto dtype = dtypes().find(tensor.dtype);
  if (dtype == dtypes().end())
    return name + " has the unknown dtype " + clean_line(tensor.dtype, 20);
  std::uint64_t bits = dtype->second.bits;
  for (const std::uint64_t size : tensor.shape) {
    if (__builtin_mul_overflow(bits, size, &bits)) return name + " has a shape that overflows";
  }
  if (tensor.begin > tensor.end || tensor.end > data_size)
    return name + " lies outside of the file";
  if (bits % 8 != 0) return name + " does not end with a whole byte";
  if (tensor.end - tensor.begin != bits / 8) {
    return name + " has " + std::to_string(tensor.end - tensor.begin) + " bytes, its shape needs " +
           std::to_string(bits / 8);
  }
  return {};
}

std::string check_layout(std::vector<Tensor>& tensors, std::uint64_t data_size) {
  std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t at = 0;
  for (const Tensor& tensor : tensors) {
    if (auto wrong = check_tensor(tensor, data_size); !wrong.empty()) return wrong;
    if (tensor.begin < at)
      return "tensor " + clean_line(tensor.name, 80) + " overlaps the one before it";
    if (tensor.begin > at)
      return "bytes before tensor " + clean_line(tensor.name, 80) + " belong to no tensor";
    at = tensor.end;
  }
  if (at < data_size)
    return std::to_string(data_size - at) + " bytes behind the last tensor belong to no tensor";
  return {};
}

Result<void> scan(const FileBytes& file, std::uint64_t data_at, const std::vector<Tensor>& tensors,
                  std::stop_token stop, Judgement& judgement) {
  std::vector<Region> regions;
  for (const Tensor& tensor : tensors) {
    regions.push_back({data_at + tensor.begin, tensor.end - tensor.begin,
                       dtypes().find(tensor.dtype)->second.type});
  }
  const auto facts = sweep(file, regions, {.crc32 = false}, stop);
  if (!facts) return facts.error();
  ValueTotals totals;
  for (std::size_t i = 0; i < regions.size(); ++i)
    totals.add((*facts)[i].values, regions[i].size, clean_line(tensors[i].name, 80));
  report_values(totals, judgement);
  judgement.reached(Depth::values);
  return {};
}

FileFacts facts_of(const std::vector<Tensor>& tensors) {
  FileFacts facts;
  for (const Tensor& tensor : tensors)
    facts.tensors.push_back(
        {tensor.name, tensor.end - tensor.begin, tensor.shape, tensor.dtype == "BOOL"});
  std::sort(facts.tensors.begin(), facts.tensors.end(),
            [](const TensorFact& a, const TensorFact& b) { return a.name < b.name; });
  return facts;
}

}  // namespace

Result<void> read_safetensors(const FileBytes& file, Depth depth, std::stop_token stop,
                              ArtifactReport& report) {
  report.format = "safetensors";
  report.reader = "safetensors/1";
  Judgement judgement(report);
  const auto head = file.read(0, 8);
  if (!head)
    return judgement.fail(ArtifactVerdict::corrupt, "too short for a safetensors file"),
           Result<void>();
  const std::uint64_t header_size = Cursor(*head).little(8);
  if (header_size > kHeaderMost || header_size > file.size() - 8) {
    judgement.fail(ArtifactVerdict::corrupt, "the header length " + std::to_string(header_size) +
                                                 " does not fit a file of " +
                                                 std::to_string(file.size()) + " bytes");
    return {};
  }
  const auto header = file.read(8, static_cast<std::size_t>(header_size));
  if (!header) return header.error();
  HeaderReader reader;
  if (header->empty() || (*header)[0] != '{' || !nlohmann::json::sax_parse(*header, &reader)) {
    judgement.fail(ArtifactVerdict::corrupt,
                   reader.trouble.empty() ? "the header does not begin with {" : reader.trouble);
    return {};
  }
  const std::uint64_t data_at = 8 + header_size;
  if (const auto wrong = check_layout(reader.tensors, file.size() - data_at); !wrong.empty()) {
    judgement.fail(ArtifactVerdict::corrupt, wrong);
    return {};
  }
  if (reader.tensors.empty())
    return judgement.fail(ArtifactVerdict::incomplete, "it holds no tensor"), Result<void>();
  report.tensors = reader.tensors.size();
  for (const Tensor& tensor : reader.tensors) {
    report.parameters += (tensor.end - tensor.begin) * 8 / dtypes().find(tensor.dtype)->second.bits;
  }
  report.facts = std::make_shared<FileFacts>(facts_of(reader.tensors));
  judgement.reached(Depth::structure);
  report.verdict = ArtifactVerdict::ok;
  if (depth < Depth::values) return {};
  return scan(file, data_at, reader.tensors, stop, judgement);
}

}  // namespace rgt
