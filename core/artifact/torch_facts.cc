// SPDX-License-Identifier: MIT
// What a torch checkpoint's top level says that is compared with other files of its folder.
#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <set>

#include "core/artifact/file_facts.h"
#include "core/artifact/pickle_view.h"
#include "core/artifact/torch_model.h"

namespace rgt {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kNumbersMost = 4096;      // a training state has dozens
constexpr std::size_t kNameMost = 200;          // bytes of a number's key
constexpr std::size_t kListMost = 64;           // numbers in one list: parameter groups
constexpr std::size_t kMemoryMost = 64u << 20;  // bytes: of all names and shapes

class Learner {
 public:
  Learner(const Pickle& pickle, const TorchModel& model, FileFacts& facts)
      : pickle_(pickle), model_(model), facts_(facts) {}

  void learn() {
    if (const TorchTensor* tensor = tensor_of(pickle_.root)) add_tensor("", *tensor);
    PickleRef root = pickle_.root;
    // An object of a class: what it holds is its state.
    if (const auto state = state_of(pickle_, root)) root = *state;
    for_each_entry(pickle_, root, [&](const PickleValue& key, PickleRef value) {
      if (key.kind != Kind::text) return;
      if (const TorchTensor* tensor = tensor_of(value)) return add_tensor(key.text, *tensor);
      if (const auto number = number_of(value)) return add_number(key.text, *number);
      // The same dictionary may stand behind a million keys.
      const std::size_t entries = at(value).items.size();
      if (entries > walk_left_) return;
      walk_left_ -= entries;
      for_each_entry(pickle_, value, [&](const PickleValue& inner, PickleRef below) {
        if (inner.kind != Kind::text) return;
        if (const auto number = number_of(below)) add_number(key.text + "." + inner.text, *number);
      });
    });
    // torch keeps the last of two equal names.
    const auto by_name = [](const TensorFact& a, const TensorFact& b) { return a.name < b.name; };
    std::stable_sort(facts_.tensors.begin(), facts_.tensors.end(), by_name);
  }

 private:
  const PickleValue& at(PickleRef ref) const { return pickle_.values[ref]; }

  const TorchTensor* tensor_at(PickleRef ref) const {
    const auto found = model_.tensors.find(ref);
    return found == model_.tensors.end() ? nullptr : &found->second;
  }
  // A tensor, or a Parameter around one; else nullptr.
  const TorchTensor* tensor_of(PickleRef ref) const {
    if (const TorchTensor* tensor = tensor_at(ref)) return tensor;
    if (!class_of(pickle_, ref).starts_with("torch._utils _rebuild_parameter")) return nullptr;
    const PickleValue& arguments = at(at(ref).items[1]);
    return arguments.kind == Kind::tuple && !arguments.items.empty() ? tensor_at(arguments.items[0])
                                                                     : nullptr;
  }
  void add_tensor(const std::string& name, const TorchTensor& tensor) {
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(tensor.elements, tensor.element_size, &bytes)) return;
    const std::size_t memory = sizeof(TensorFact) + name.size() + tensor.shape.size() * 8;
    facts_.partial |= memory > memory_left_;
    if (facts_.partial) return;
    memory_left_ -= memory;
    if (!storages_.insert(tensor.storage).second) facts_.shared_bytes += bytes;
    facts_.tensors.push_back({name, bytes, tensor.shape, tensor.is_bool});
  }
  void add_number(const std::string& name, double number) {
    if (name.size() <= kNameMost && facts_.numbers.size() < kNumbersMost)
      facts_.numbers[name] = number;
  }

  std::optional<double> plain_number(PickleRef ref) const {
    const PickleValue& value = at(ref);
    if (value.kind == Kind::integer || value.kind == Kind::boolean)
      return static_cast<double>(value.integer);
    const double real = std::bit_cast<double>(value.integer);
    return value.kind == Kind::real && std::isfinite(real) ? std::optional(real) : std::nullopt;
  }
  // A number, the largest of a list of them, or the one that an enum was made from.
  std::optional<double> number_of(PickleRef ref) const {
    const PickleValue& value = at(ref);
    if (value.kind == Kind::call && value.items.size() == 2) {
      const PickleValue& arguments = at(value.items[1]);
      return arguments.kind == Kind::tuple && arguments.items.size() == 1
                 ? plain_number(arguments.items[0])
                 : std::nullopt;
    }
    if (value.kind != Kind::list) return plain_number(ref);
    std::optional<double> most;
    for (std::size_t i = 0; i < std::min(value.items.size(), kListMost); ++i) {
      const auto number = plain_number(value.items[i]);
      if (!number) return std::nullopt;
      most = std::max(most.value_or(*number), *number);
    }
    return most;
  }

  const Pickle& pickle_;
  const TorchModel& model_;
  FileFacts& facts_;
  std::set<std::string> storages_ = {};
  std::size_t walk_left_ = kEntriesMost, memory_left_ = kMemoryMost;
};

}  // namespace

void learn_facts(const Pickle& pickle, const TorchModel& model, FileFacts& facts) {
  Learner(pickle, model, facts).learn();
}

}  // namespace rgt
