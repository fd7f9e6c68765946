// SPDX-License-Identifier: MIT
// Looking into what a pickle describes: dictionaries by key, objects by their class and state.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/artifact/unpickler.h"

namespace rgt {

constexpr std::size_t kEntriesMost = 1000000;  // walked in one dictionary

// Keys and values of a dict, or of a call that took some (OrderedDict, defaultdict).
template <class Take>
void for_each_entry(const Pickle& pickle, PickleRef ref, const Take& take) {
  using Kind = PickleValue::Kind;
  const PickleValue& value = pickle.values[ref];
  if (value.kind != Kind::dict && value.kind != Kind::call) return;
  const std::size_t from = value.kind == Kind::call ? 2 : 0;
  const std::size_t end = std::min(value.items.size(), kEntriesMost);
  for (std::size_t i = from; i + 1 < end; i += 2)
    take(pickle.values[value.items[i]], value.items[i + 1]);
}

inline std::optional<PickleRef> find_entry(const Pickle& pickle, PickleRef ref,
                                           std::string_view wanted) {
  std::optional<PickleRef> found;
  for_each_entry(pickle, ref, [&](const PickleValue& key, PickleRef value) {
    if (key.kind == PickleValue::Kind::text && key.text == wanted) found = value;
  });
  return found;
}

// "module Class" of an object that was rebuilt by calling its class; else empty.
inline std::string_view class_of(const Pickle& pickle, PickleRef ref) {
  using Kind = PickleValue::Kind;
  const PickleValue& value = pickle.values[ref];
  if (value.kind != Kind::call || value.items.empty()) return {};
  const PickleValue& callable = pickle.values[value.items[0]];
  return callable.kind == Kind::global ? std::string_view(callable.text) : std::string_view();
}

// What BUILD gave an object, if that is all it got.
inline std::optional<PickleRef> state_of(const Pickle& pickle, PickleRef ref) {
  const PickleValue& value = pickle.values[ref];
  if (value.kind != PickleValue::Kind::call || value.items.size() != 3) return std::nullopt;
  return value.items[2];
}

}  // namespace rgt
