// SPDX-License-Identifier: MIT
#include "core/artifact/torch_model.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/text.h"

namespace rgt {
namespace {

using Kind = PickleValue::Kind;

struct Element {
  std::uint64_t size = 1;
  ElementType type = ElementType::other;
  bool known = false;
  bool is_float = false;
};

constexpr Element floats(std::uint64_t size, ElementType type) { return {size, type, true, true}; }
constexpr Element whole(std::uint64_t size) { return {size, ElementType::other, true, false}; }

Element element_of(std::string_view storage_class) {
  static const std::map<std::string, Element, std::less<>> table{
      {"DoubleStorage", floats(8, ElementType::f64)},
      {"FloatStorage", floats(4, ElementType::f32)},
      {"HalfStorage", floats(2, ElementType::f16)},
      {"BFloat16Storage", floats(2, ElementType::bf16)},
      {"LongStorage", whole(8)},
      {"IntStorage", whole(4)},
      {"ShortStorage", whole(2)},
      {"CharStorage", whole(1)},
      {"ByteStorage", whole(1)},
      {"BoolStorage", whole(1)},
      {"ComplexDoubleStorage", {16, ElementType::f64, true, false}},
      {"ComplexFloatStorage", {8, ElementType::f32, true, false}},
      {"QInt8Storage", whole(1)},
      {"QUInt8Storage", whole(1)},
      {"QInt32Storage", whole(4)},
      {"QUInt4x2Storage", whole(1)},
      {"QUInt2x4Storage", whole(1)}};
  const auto found = table.find(storage_class);
  return found == table.end() ? Element{} : found->second;  // UntypedStorage counts bytes
}

// torch's name of a dtype, for tensors on untyped storages (_rebuild_tensor_v3).
Element element_of_dtype(std::string_view dtype) {
  static const std::map<std::string, Element, std::less<>> table{
      {"torch float64", floats(8, ElementType::f64)},
      {"torch float32", floats(4, ElementType::f32)},
      {"torch float16", floats(2, ElementType::f16)},
      {"torch bfloat16", floats(2, ElementType::bf16)},
      {"torch float8_e4m3fn", floats(1, ElementType::f8_e4m3)},
      {"torch float8_e5m2", floats(1, ElementType::f8_e5m2)},
      {"torch float8_e4m3fnuz", floats(1, ElementType::f8_fnuz)},
      {"torch float8_e5m2fnuz", floats(1, ElementType::f8_fnuz)},
      {"torch float8_e8m0fnu", floats(1, ElementType::f8_e8m0)},
      {"torch complex64", {8, ElementType::f32, true, false}},
      {"torch complex128", {16, ElementType::f64, true, false}},
      {"torch uint16", whole(2)},
      {"torch uint32", whole(4)},
      {"torch uint64", whole(8)},
      {"torch int64", whole(8)},
      {"torch int32", whole(4)},
      {"torch int16", whole(2)}};
  const auto found = table.find(dtype);
  return found == table.end() ? Element{} : found->second;
}

class ModelReader {
 public:
  ModelReader(const Pickle& pickle, std::string_view name, Judgement& judgement)
      : pickle_(pickle), name_(name), judgement_(judgement) {}

  TorchModel read() {
    for (PickleRef i = 0; i < pickle_.values.size() && !judgement_.failed(); ++i) {
      if (pickle_.values[i].kind == Kind::persistent) read_storage(i);
    }
    for (PickleRef i = 0; i < pickle_.values.size() && !judgement_.failed(); ++i) {
      if (pickle_.values[i].kind == Kind::call) read_call(i);
    }
    return std::move(model_);
  }

 private:
  const PickleValue& at(PickleRef ref) const { return pickle_.values[ref]; }
  void corrupt(const std::string& what) { judgement_.fail(ArtifactVerdict::corrupt, what); }

  // ('storage', class, key, location, elements), and in the old format a view of it or None.
  void read_storage(PickleRef ref) {
    const PickleValue& id = at(at(ref).items.at(0));
    if (id.kind == Kind::tuple && !id.items.empty() && at(id.items[0]).text == "module")
      return judgement_.fail(ArtifactVerdict::unverified,
                             "it holds a module's source code: only that code can rebuild it");
    if (id.kind != Kind::tuple || id.items.size() < 5 || id.items.size() > 6 ||
        at(id.items[0]).text != "storage")
      return corrupt(name_ + " refers to something that is no storage");
    const PickleValue& storage_class = at(id.items[1]);
    const PickleValue& key = at(id.items[2]);
    const PickleValue& count = at(id.items[4]);
    if (storage_class.kind != Kind::global || key.kind != Kind::text ||
        count.kind != Kind::integer || count.integer < 0) {
      return corrupt(name_ + " describes a storage wrongly");
    }
    if (id.items.size() == 6 && at(id.items[5]).kind != Kind::none)
      return judgement_.fail(
          ArtifactVerdict::unverified,
          "it holds views of storages, as torch before 0.4 wrote them: save it again with a "
          "current torch");
    keys_[ref] = key.text;
    const std::string_view name = storage_class.text;
    const Element element = element_of(name.substr(name.find(' ') + 1));
    if (name.ends_with(" BoolStorage")) bools_.insert(key.text);
    // torch takes the first description of a storage; a second one that differs is no writer's.
    const auto [known, is_new] = model_.storages.try_emplace(
        key.text, TorchStorage{element.size, element.type,
                               static_cast<std::uint64_t>(count.integer), element.known});
    if (!is_new && (known->second.count != static_cast<std::uint64_t>(count.integer) ||
                    known->second.element_size != element.size))
      corrupt("storage " + clean_line(key.text, 40) + " is described in two ways");
  }

  void read_call(PickleRef ref) {
    const PickleValue& call = at(ref);
    const PickleValue* outer = &at(call.items[1]);
    // A tensor subclass names its builder and that one's arguments: (function, type, arguments,
    // state).
    if (at(call.items[0]).text == "torch._tensor _rebuild_from_type_v2" &&
        outer->kind == Kind::tuple && outer->items.size() >= 3) {
      return read_tensor(ref, at(outer->items[0]), at(outer->items[2]));
    }
    read_tensor(ref, at(call.items[0]), *outer);
  }

  void read_tensor(PickleRef ref, const PickleValue& callable, const PickleValue& arguments) {
    const bool quantised = callable.text == "torch._utils _rebuild_qtensor";
    if (callable.kind != Kind::global ||
        (!quantised && !callable.text.starts_with("torch._utils _rebuild_tensor")))
      return;
    if (arguments.kind != Kind::tuple || arguments.items.size() < 4)
      return corrupt("a tensor is rebuilt from too little");
    const auto key = keys_.find(arguments.items[0]);
    if (key == keys_.end()) return corrupt("a tensor has no storage");
    TorchStorage& storage = model_.storages.find(key->second)->second;
    TorchTensor tensor{.storage = key->second,
                       .element_size = storage.element_size,
                       .type = storage.type,
                       .is_float = storage.typed && storage.type != ElementType::other,
                       .is_bool = bools_.contains(key->second)};
    std::uint64_t available = storage.count;
    if (callable.text.ends_with("_v3") && arguments.items.size() > 6) {
      const Element element = element_of_dtype(at(arguments.items[6]).text);
      tensor.element_size = element.size;
      tensor.type = element.type;
      tensor.is_float = element.is_float;
      available = storage.count * storage.element_size / element.size;
      if (!storage.typed) storage.type = element.type;
    }
    if (read_extent(arguments, available, tensor)) model_.tensors[ref] = std::move(tensor);
  }

  // offset + 1 + sum((size - 1) * stride) elements must be there, unless some size is zero.
  bool read_extent(const PickleValue& arguments, std::uint64_t available, TorchTensor& tensor) {
    const PickleValue& offset = at(arguments.items[1]);
    const PickleValue& shape = at(arguments.items[2]);
    const PickleValue& stride = at(arguments.items[3]);
    if (offset.kind != Kind::integer || offset.integer < 0)
      return corrupt("a tensor has a bad offset"), false;
    // torch.Size is a call around the tuple.
    const PickleValue* sizes_value = &shape;
    if (shape.kind == Kind::call && at(shape.items[1]).items.size() == 1)
      sizes_value = &at(at(shape.items[1]).items[0]);
    if (sizes_value->kind != Kind::tuple || stride.kind != Kind::tuple)
      return corrupt("a tensor has a bad shape"), false;
    const std::vector<PickleRef>& sizes = sizes_value->items;
    if (sizes.size() != stride.items.size() || sizes.size() > 64)
      return corrupt("a tensor's shape and strides differ in rank"), false;
    tensor.offset = static_cast<std::uint64_t>(offset.integer);
    std::uint64_t last = tensor.offset, elements = 1;
    bool overflow = false;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const PickleValue& size = at(sizes[i]);
      const PickleValue& step = at(stride.items[i]);
      if (size.kind != Kind::integer || step.kind != Kind::integer || size.integer < 0 ||
          step.integer < 0)
        return corrupt("a tensor has a bad shape"), false;
      const auto length = static_cast<std::uint64_t>(size.integer);
      tensor.shape.push_back(length);
      overflow |= __builtin_mul_overflow(elements, length, &elements);
      if (length == 0) continue;
      std::uint64_t reach = 0;
      overflow |=
          __builtin_mul_overflow(length - 1, static_cast<std::uint64_t>(step.integer), &reach);
      overflow |= __builtin_add_overflow(last, reach, &last);
    }
    tensor.elements = elements;
    if (overflow || (elements > 0 && last >= available)) {
      corrupt("a tensor reaches element " + (overflow ? "2^64" : std::to_string(last)) +
              " of a storage of " + std::to_string(available));
      return false;
    }
    model_.parameters += elements;
    return true;
  }

  const Pickle& pickle_;
  const std::string name_;
  Judgement& judgement_;
  TorchModel model_ = {};
  std::map<PickleRef, std::string> keys_ = {};  // of the nodes that name a storage
  std::set<std::string> bools_ = {};            // keys of storages of truth values
};

// What the compiler of TorchScript writes into its own archives; its classes are in code/.
bool is_script_global(std::string_view both) {
  constexpr std::array<std::string_view, 6> kBuilders{
      "torch.jit._pickle build_intlist",    "torch.jit._pickle build_tensorlist",
      "torch.jit._pickle build_doublelist", "torch.jit._pickle build_boollist",
      "torch.jit._pickle restore_type_tag", "torch.jit._pickle build_tensor_from_id"};
  return both.starts_with("__torch__.") || both.starts_with("__torch__ ") ||
         std::find(kBuilders.begin(), kBuilders.end(), both) != kBuilders.end();
}

// What torch.distributed.checkpoint writes into .metadata: plain data classes. Sources:
// torch/distributed/checkpoint/metadata.py, filesystem.py, and where torch 1.13 and 2.0 had them.
bool is_distributed_global(std::string_view both) {
  const std::string_view module = both.substr(0, both.find(' '));
  const std::string_view name = both.substr(std::min(module.size() + 1, both.size()));
  constexpr std::array<std::string_view, 5> kModules{
      "torch.distributed.checkpoint.metadata", "torch.distributed.checkpoint.filesystem",
      "torch.distributed._shard.checkpoint.metadata",
      "torch.distributed._shard.checkpoint.filesystem",
      "torch.distributed._shard.sharded_tensor.metadata"};
  constexpr std::array<std::string_view, 10> kNames{"Metadata",
                                                    "TensorStorageMetadata",
                                                    "BytesStorageMetadata",
                                                    "ChunkStorageMetadata",
                                                    "TensorProperties",
                                                    "MetadataIndex",
                                                    "_MEM_FORMAT_ENCODING",
                                                    "MEM_FORMAT_ENCODING",
                                                    "_StorageInfo",
                                                    "StorageMeta"};
  return std::find(kModules.begin(), kModules.end(), module) != kModules.end() &&
         std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::string first_ten(std::vector<std::string> names) {
  names.resize(std::min<std::size_t>(names.size(), 10));
  return join(names, ", ");
}

}  // namespace

std::uint64_t dtype_size(std::string_view dtype) {
  const Element element = element_of_dtype(dtype);
  return element.known ? element.size : 0;
}

TorchModel read_torch_model(const Pickle& pickle, std::string_view name, Judgement& judgement) {
  return ModelReader(pickle, name, judgement).read();
}

void judge_globals(const std::vector<std::string>& globals, TorchNames kind, Judgement& judgement) {
  std::vector<std::string> unknown, benign;
  for (const std::string& both : globals) {
    if (kind == TorchNames::script && is_script_global(both)) continue;
    if (kind == TorchNames::distributed && is_distributed_global(both)) continue;
    std::string shown = clean_line(both, 120);
    std::replace(shown.begin(), shown.end(), ' ', '.');
    switch (classify_global(both)) {
      case GlobalClass::dangerous:
        judgement.fail(ArtifactVerdict::hostile, "ATTACK: loading this file would reach " + shown);
        break;
      case GlobalClass::unknown: unknown.push_back(shown); break;
      case GlobalClass::benign: benign.push_back(shown); break;
      case GlobalClass::tensor: break;
    }
  }
  if (judgement.failed()) return;
  if (!unknown.empty())
    judgement.fail(ArtifactVerdict::unverified,
                   "it holds objects that only their own code can rebuild: " + first_ten(unknown));
  if (!benign.empty())
    judgement.info("torch.load needs weights_only=False or an allow-list for: " +
                   first_ten(benign));
}

std::optional<Pickle> read_judged_pickle(std::string_view bytes, TorchNames kind,
                                         Judgement& judgement) {
  std::vector<std::string> seen;
  auto pickle = read_pickle(bytes, &seen);
  judge_globals(seen, kind, judgement);
  if (pickle) return std::move(*pickle);
  const bool bomb = pickle.error().code == Code::limit;
  judgement.fail(bomb ? ArtifactVerdict::hostile : ArtifactVerdict::corrupt,
                 pickle.error().message);
  return std::nullopt;
}

void judge_attacks(std::string_view bytes, Judgement& judgement) {
  std::vector<std::string> seen;
  [[maybe_unused]] const auto ignored = read_pickle(bytes, &seen);
  std::erase_if(seen, [](const std::string& name) {
    return is_script_global(name) || classify_global(name) != GlobalClass::dangerous;
  });
  judge_globals(seen, TorchNames::checkpoint, judgement);
}

}  // namespace rgt
