// SPDX-License-Identifier: MIT
// ONNX: one protobuf message, walked field by field without loading it. The format has neither
// magic nor checksum; what it does have is the size that each initializer's shape and type say.
// Source: onnx/onnx.proto, docs/ExternalData.md.
#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "core/artifact/byte_window.h"
#include "core/artifact/format.h"
#include "core/artifact/sweep.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr int kNestingMost = 16;                // graphs in nodes of graphs
constexpr std::uint64_t kPartsMost = 20000000;  // nodes, tensors and attributes together
constexpr std::size_t kTensorsMost = 1000000;   // whose values are looked at
constexpr std::size_t kRankMost = 64;
constexpr std::uint64_t kIrVersionMost = 100;  // 13 is the newest

using Wire = ProtoField::Wire;

struct Dtype {
  std::uint64_t bits = 0;  // 0: texts
  ElementType type = ElementType::other;
};

// TensorProto.DataType, by number.
constexpr std::array<Dtype, 25> kDtypes{{
    {0},                        // undefined
    {32, ElementType::f32},     // FLOAT
    {8},                        // UINT8
    {8},                        // INT8
    {16},                       // UINT16
    {16},                       // INT16
    {32},                       // INT32
    {64},                       // INT64
    {0},                        // STRING
    {8},                        // BOOL
    {16, ElementType::f16},     // FLOAT16
    {64, ElementType::f64},     // DOUBLE
    {32},                       // UINT32
    {64},                       // UINT64
    {64, ElementType::f32},     // COMPLEX64
    {128, ElementType::f64},    // COMPLEX128
    {16, ElementType::bf16},    // BFLOAT16
    {8, ElementType::f8_e4m3},  // FLOAT8E4M3FN
    {8, ElementType::f8_fnuz},  // FLOAT8E4M3FNUZ
    {8, ElementType::f8_e5m2},  // FLOAT8E5M2
    {8, ElementType::f8_fnuz},  // FLOAT8E5M2FNUZ
    {4},                        // UINT4
    {4},                        // INT4
    {4},                        // FLOAT4E2M1
    {8, ElementType::f8_e8m0},  // FLOAT8E8M0
}};
constexpr std::uint64_t kString = 8;

// Bytes that are looked at for their values.
struct Values {
  std::string name = {};
  Region region = {};
};

struct Tensor {
  std::string name = {};
  std::uint64_t dtype = 0, elements = 1, rank = 0;
  bool overflow = false, external = false, has_raw = false;
  ProtoField raw = {};
  std::vector<ProtoField> floats = {};            // packed runs of float_data or double_data
  std::uint64_t stated = 0;                       // numbers in the typed fields
  std::uint64_t not_finite = 0;                   // 16-bit floats in int32_data
  std::map<std::string, std::string> place = {};  // external_data: location, offset, length
};

class OnnxReader {
 public:
  OnnxReader(const FileBytes& file, std::stop_token stop, ArtifactReport& report,
             Judgement& judgement)
      : window_(file), stop_(std::move(stop)), report_(report), judgement_(judgement) {}

  bool read() {
    ProtoWalk model(window_, 0, window_.size());
    std::uint64_t ir_version = 0, opsets = 0, graphs = 0;
    while (const auto field = model.next()) {
      if (field->number == 1 && field->wire == Wire::varint) ir_version = field->value;
      opsets += field->number == 8 && field->wire == Wire::bytes;
      if (field->number == 7 && field->wire == Wire::bytes) {
        // protobuf would join two graphs; no writer makes them.
        if (++graphs > 1) return no("it holds two graphs");
        if (!read_graph(*field, 0)) return false;
      }
      // Functions have nodes and no initializers.
      if (field->number == 25 && field->wire == Wire::bytes && !read_function(*field)) return false;
    }
    if (!model.ok())
      return no("it is no whole protobuf message: it was cut, or its bytes were changed");
    if (ir_version == 0 || ir_version > kIrVersionMost)
      return no("ir_version is missing or none that exists: it is no ONNX model");
    if (graphs == 0) return incomplete("it holds no graph: it was cut behind its head");
    if (ir_version >= 3 && opsets == 0)
      return incomplete("it names no operator set: it was cut behind its graph");
    if (nodes_ == 0 && report_.tensors == 0) return incomplete("its graph is empty");
    return true;
  }

  const std::vector<Values>& values() const { return values_; }
  const std::map<std::string, std::vector<Values>>& external() const { return external_; }
  const std::optional<Error>& trouble() const { return window_.trouble(); }
  std::uint64_t nodes() const { return nodes_; }
  // What was seen while walking.
  ValueTotals totals = {};

 private:
  bool no(const std::string& what) {
    judgement_.fail(ArtifactVerdict::corrupt, what);
    return false;
  }
  bool incomplete(const std::string& what) {
    judgement_.fail(ArtifactVerdict::incomplete, what);
    return false;
  }
  bool one_more() {
    if (++parts_ > kPartsMost) return no("it has more parts than any model");
    return parts_ % 1024 != 0 || !stop_.stop_requested();
  }
  bool whole(const ProtoWalk& walk, const char* what) {
    return walk.ok() || no(std::string(what) + " is no whole message: its bytes were changed");
  }

  bool read_graph(const ProtoField& message, int depth) {
    if (depth > kNestingMost) return no("its graphs are nested deeper than any model's");
    ProtoWalk graph(window_, message);
    while (const auto field = graph.next()) {
      if (!one_more()) return false;
      if (field->wire != Wire::bytes) continue;
      if (field->number == 1 && !read_node(*field, depth)) return false;
      if (field->number == 5 && !read_tensor(*field)) return false;
      if (field->number == 15 && !read_sparse(*field)) return false;
    }
    return whole(graph, "a graph");
  }

  bool read_function(const ProtoField& message) {
    ProtoWalk function(window_, message);
    while (const auto field = function.next()) {
      if (!one_more()) return false;
      if (field->number == 7 && field->wire == Wire::bytes && !read_node(*field, 1)) return false;
    }
    return whole(function, "a function");
  }

  bool read_node(const ProtoField& message, int depth) {
    ++nodes_;
    ProtoWalk node(window_, message);
    bool typed = false;
    while (const auto field = node.next()) {
      if (!one_more()) return false;
      typed |= field->number == 4 && field->wire == Wire::bytes && field->size > 0;
      if (field->number == 5 && field->wire == Wire::bytes && !read_attribute(*field, depth))
        return false;
    }
    return whole(node, "a node") && (typed || no("a node names no operator"));
  }

  // 5 and 10 are tensors, 6 and 11 graphs, 22 and 23 sparse tensors.
  bool read_attribute(const ProtoField& message, int depth) {
    ProtoWalk attribute(window_, message);
    while (const auto field = attribute.next()) {
      if (!one_more()) return false;
      if (field->wire != Wire::bytes) continue;
      const std::uint64_t number = field->number;
      if ((number == 5 || number == 10) && !read_tensor(*field)) return false;
      if ((number == 6 || number == 11) && !read_graph(*field, depth + 1)) return false;
      if ((number == 22 || number == 23) && !read_sparse(*field)) return false;
    }
    return whole(attribute, "an attribute");
  }

  bool read_sparse(const ProtoField& message) {
    ProtoWalk sparse(window_, message);
    while (const auto field = sparse.next()) {
      const bool tensor = field->number == 1 || field->number == 2;
      if (tensor && field->wire == Wire::bytes && !read_tensor(*field)) return false;
    }
    return whole(sparse, "a sparse tensor");
  }

  bool read_tensor(const ProtoField& message) {
    Tensor tensor;
    ProtoWalk walk(window_, message);
    while (const auto field = walk.next()) {
      if (!read_tensor_field(tensor, walk, *field)) return false;
    }
    return whole(walk, "a tensor") && check_tensor(tensor);
  }

  bool read_tensor_field(Tensor& tensor, ProtoWalk& walk, const ProtoField& field) {
    switch (field.number) {
      case 1: return read_dims(tensor, field);
      case 2: tensor.dtype = field.value; break;
      case 4: return read_floats(tensor, field, 4);
      case 10: return read_floats(tensor, field, 8);
      case 5:
      case 7:
      case 11: return read_words(tensor, field);
      case 6: ++tensor.stated; break;
      case 8: tensor.name = clean_line(walk.text(field, 256), 80); break;
      case 9:
        tensor.raw = field;
        tensor.has_raw = field.wire == Wire::bytes;
        break;
      case 13: return read_place(tensor, field);
      case 14: tensor.external = field.value == 1; break;
      default: break;
    }
    return true;
  }

  // Repeated numbers come one by one or packed into one field.
  template <class Take>
  bool each_number(const ProtoField& field, Take take) {
    if (field.wire != Wire::bytes) return take(field.value);
    ByteWalk packed(window_, field.at, field.at + field.size);
    while (packed.left() > 0) {
      const std::uint64_t value = packed.varint();
      if (!packed.ok()) return no("packed numbers are cut: its bytes were changed");
      if (!take(value)) return false;
    }
    return true;
  }

  bool read_dims(Tensor& tensor, const ProtoField& field) {
    return each_number(field, [&](std::uint64_t size) {
      if (++tensor.rank > kRankMost) return no("a tensor has too many dimensions");
      tensor.overflow |= size > (std::uint64_t{1} << 62) ||
                         __builtin_mul_overflow(tensor.elements, size, &tensor.elements);
      return true;
    });
  }

  bool read_floats(Tensor& tensor, const ProtoField& field, std::uint64_t width) {
    if (field.wire == Wire::bytes) {
      if (field.size % width != 0) return no("packed floats are cut: its bytes were changed");
      tensor.stated += field.size / width;
      if (tensor.floats.size() >= 16) return no("a tensor's floats come in more runs than any");
      tensor.floats.push_back(field);
      return true;
    }
    ++tensor.stated;
    const std::uint64_t exponent = width == 4 ? 0x7F800000ull : 0x7FF0000000000000ull;
    tensor.not_finite += (field.value & exponent) == exponent;
    return true;
  }

  bool read_words(Tensor& tensor, const ProtoField& field) {
    return each_number(field, [&](std::uint64_t value) {
      ++tensor.stated;
      if (tensor.dtype == 10) tensor.not_finite += (value & 0x7C00) == 0x7C00;
      if (tensor.dtype == 16) tensor.not_finite += (value & 0x7F80) == 0x7F80;
      return tensor.stated % (1u << 20) != 0 || !stop_.stop_requested();
    });
  }

  bool read_place(Tensor& tensor, const ProtoField& field) {
    if (field.wire != Wire::bytes) return true;
    ProtoWalk pair(window_, field);
    std::string key, value;
    while (const auto part = pair.next()) {
      if (part->number == 1) key = pair.text(*part, 64);
      if (part->number == 2) value = pair.text(*part, 4096);
    }
    if (tensor.place.size() < 16) tensor.place[key] = value;
    return whole(pair, "external data");
  }

  bool check_tensor(const Tensor& tensor) {
    const std::string at = "tensor " + (tensor.name.empty() ? "without a name" : tensor.name);
    if (tensor.dtype == 0 || tensor.overflow)
      return no(at + (tensor.overflow ? " has a shape that overflows" : " has no type"));
    if (tensor.dtype >= kDtypes.size()) {
      judgement_.fail(ArtifactVerdict::unverified,
                      at + " has the unknown type " + std::to_string(tensor.dtype));
      return false;
    }
    const Dtype& dtype = kDtypes[tensor.dtype];
    std::uint64_t bits = 0;
    if (__builtin_mul_overflow(tensor.elements, dtype.bits, &bits) || bits > ~0ull - 7)
      return no(at + " has a shape that overflows");
    ++report_.tensors;
    if (__builtin_add_overflow(report_.parameters, tensor.elements, &report_.parameters))
      return no("its shapes overflow");
    const std::uint64_t bytes = (bits + 7) / 8;
    if (tensor.external) return note_external(tensor, at, bytes, dtype.type);
    if (tensor.has_raw && tensor.dtype != kString) {
      if (tensor.raw.size != bytes || tensor.stated > 0)
        return no(at + " has " + std::to_string(tensor.raw.size) + " bytes, its shape needs " +
                  std::to_string(bytes));
      return keep(values_, {at, {tensor.raw.at, tensor.raw.size, dtype.type}});
    }
    return check_typed(tensor, at);
  }

  // Complex numbers are two floats; 4-bit numbers are packed in pairs.
  bool check_typed(const Tensor& tensor, const std::string& at) {
    const bool complex = tensor.dtype == 14 || tensor.dtype == 15;
    const bool half_byte = tensor.dtype >= 21 && tensor.dtype <= 23;
    const std::uint64_t pairs = (tensor.elements + 1) / 2;
    const bool fits = complex     ? tensor.stated / 2 == tensor.elements && tensor.stated % 2 == 0
                      : half_byte ? tensor.stated == pairs || tensor.stated == tensor.elements
                                  : tensor.stated == tensor.elements;
    if (!fits)
      return no(at + " has " + std::to_string(tensor.stated) + " values, its shape needs " +
                std::to_string(tensor.elements));
    if (tensor.not_finite > 0) totals.add({tensor.not_finite, false}, 1, at);
    const ElementType type = kDtypes[tensor.dtype].type;
    for (const ProtoField& run : tensor.floats) {
      const bool is_float = type == ElementType::f32 || type == ElementType::f64;
      if (!is_float) return no(at + " has floats, its type has none");
      if (!keep(values_, {at, {run.at, run.size, type}})) return false;
    }
    return true;
  }

  bool keep(std::vector<Values>& list, Values values) {
    if (list.size() >= kTensorsMost) return no("it has more tensors than any model");
    list.push_back(std::move(values));
    return true;
  }

  bool note_external(const Tensor& tensor, const std::string& at, std::uint64_t bytes,
                     ElementType type) {
    const auto value = [&](const char* key) {
      const auto found = tensor.place.find(key);
      return found == tensor.place.end() ? std::string() : found->second;
    };
    const std::string location = value("location"), offset = value("offset"),
                      length = value("length");
    if (location.empty() || location.find('\0') != std::string::npos)
      return no(at + " is in another file, which it does not name");
    const auto parts = split(location, '/');
    if (location[0] == '/' || std::find(parts.begin(), parts.end(), "..") != parts.end()) {
      judgement_.fail(ArtifactVerdict::hostile, "ATTACK: " + at +
                                                    " would be read from outside of its folder: " +
                                                    clean_line(location, 120));
      return false;
    }
    const auto begin = offset.empty() ? std::optional<std::uint64_t>(0) : parse_uint(offset);
    const auto size = length.empty() ? std::optional(bytes) : parse_uint(length);
    if (!begin || size != bytes) return no(at + " has an offset or a length that its shape denies");
    if (external_.size() >= 1000 && !external_.contains(location))
      return no("its values are in more files than any model's");
    return keep(external_[location], {at, {*begin, bytes, type}});
  }

  ByteWindow window_;
  const std::stop_token stop_;
  ArtifactReport& report_;
  Judgement& judgement_;
  std::uint64_t parts_ = 0, nodes_ = 0;
  std::vector<Values> values_ = {};
  std::map<std::string, std::vector<Values>> external_ = {};  // by file
};

// Tensors may share bytes: each place is looked at once, and what runs into the one before it is
// left out.
Result<void> scan(const FileBytes& file, std::vector<Values> values, std::stop_token stop,
                  ValueTotals& totals) {
  std::stable_sort(values.begin(), values.end(),
                   [](const Values& a, const Values& b) { return a.region.at < b.region.at; });
  std::uint64_t end = 0;
  std::erase_if(values, [&](const Values& one) {
    const bool again = one.region.at < end;
    if (!again) end = one.region.at + one.region.size;
    return again;
  });
  std::vector<Region> regions;
  for (const Values& one : values) regions.push_back(one.region);
  const auto facts = sweep(file, regions, {.crc32 = false}, std::move(stop));
  if (!facts) return facts.error();
  for (std::size_t i = 0; i < values.size(); ++i)
    totals.add((*facts)[i].values, values[i].region.size, values[i].name);
  return {};
}

// The files that hold tensors, next to the model; links are not followed.
Result<void> check_external(const std::filesystem::path& folder, const OnnxReader& reader,
                            Depth depth, std::stop_token stop, ValueTotals& totals,
                            Judgement& judgement) {
  for (const auto& [location, tensors] : reader.external()) {
    const auto path = folder / location;
    std::error_code gone;
    const std::string shown = clean_line(location, 120);
    if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(path, gone))) {
      judgement.fail(ArtifactVerdict::unverified, std::to_string(tensors.size()) +
                                                      " tensors are in " + shown +
                                                      ", which is not next to it");
      continue;
    }
    const auto file = FileBytes::open(path);
    if (!file) return file.error();
    for (const Values& one : tensors) {
      if (one.region.at > file->size() || one.region.size > file->size() - one.region.at) {
        judgement.fail(ArtifactVerdict::corrupt,
                       one.name + " ends outside of " + shown + ": that file was cut");
        break;
      }
    }
    if (judgement.failed() || depth < Depth::values) continue;
    if (auto done = scan(*file, tensors, stop, totals); !done) return done;
  }
  return {};
}

}  // namespace

Result<void> read_onnx(const FileBytes& file, Depth depth, std::stop_token stop,
                       ArtifactReport& report) {
  report.format = "onnx";
  report.reader = "onnx/1";
  Judgement judgement(report);
  OnnxReader reader(file, stop, report, judgement);
  const bool sound = reader.read();
  if (reader.trouble()) return *reader.trouble();
  if (stop.stop_requested()) return Error{Code::cancelled, "stopped while reading", "call again"};
  if (!sound) return {};
  judgement.reached(Depth::structure);
  report.verdict = ArtifactVerdict::ok;
  if (report.tensors == 0) judgement.warn("it holds no tensor");
  ValueTotals totals = reader.totals;
  if (depth >= Depth::values) {
    if (auto done = scan(file, reader.values(), stop, totals); !done) return done;
  }
  const auto folder = std::filesystem::path(report.path).parent_path();
  if (auto done = check_external(folder, reader, depth, stop, totals, judgement); !done)
    return done;
  if (judgement.failed() || depth < Depth::values) return {};
  report_values(totals, judgement);
  judgement.reached(Depth::values);
  return {};
}

}  // namespace rgt
