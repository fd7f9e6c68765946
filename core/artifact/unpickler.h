// SPDX-License-Identifier: MIT
// Unpickler: a bounded machine that runs pickle opcodes (protocols 0 to 5) and builds a description
// of the values. It calls nothing: a GLOBAL is a name, a REDUCE is a node that says what would be
// called. Source: Python's pickletools; torch/serialization.py for persistent ids.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace rgt {

using PickleRef = std::uint32_t;  // index into Pickle::values

struct PickleValue {
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    real,
    text,
    bytes,
    tuple,
    list,
    dict,
    set,
    global,
    call,
    persistent
  };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  // integer (saturated beyond 64 bits), boolean; real: its bits
  std::string text = {};     // text, bytes; global: "module name"
  // tuple, list, set: items; dict: key, value, key, value...; call: callable, arguments, and then
  // what BUILD, APPEND and SETITEM added; persistent: the id.
  std::vector<PickleRef> items = {};
};

struct Pickle {
  std::vector<PickleValue> values = {};
  PickleRef root = 0;
  std::vector<std::string> globals =
      {};                // every name that was pushed, "module name", sorted, unique
  std::size_t size = 0;  // bytes up to and with STOP
  int protocol = 0;
};

// Limits: an opcode costs a step, a value a slot; both far above any real checkpoint's.
// Code::corrupt for bytes that are no pickle, Code::limit beyond a bound. `seen` gets the names
// that were pushed up to there even then: Python runs what stands before the damage.
Result<Pickle> read_pickle(std::string_view bytes, std::vector<std::string>* seen = nullptr);

// How a global is to be taken. Pushing a dangerous one is already an attack: nothing honest needs
// it.
enum class GlobalClass { tensor, benign, unknown, dangerous };
GlobalClass classify_global(std::string_view module_and_name);

}  // namespace rgt
