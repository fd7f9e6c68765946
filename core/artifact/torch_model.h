// SPDX-License-Identifier: MIT
// What a torch pickle says about storages and tensors, whatever container the bytes are in: each
// storage's size and type, and that every tensor lies inside its storage. Also what its names mean
// for whoever would load it. Source: torch/_utils.py, torch/serialization.py.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/file_facts.h"
#include "core/artifact/format.h"
#include "core/artifact/unpickler.h"
#include "core/artifact/value_scan.h"

namespace rgt {

struct TorchStorage {
  std::uint64_t element_size = 1;
  ElementType type = ElementType::other;
  std::uint64_t count = 0;  // elements; bytes if it is untyped
  bool typed = false;       // its own class says the type; else the tensors on it do
};

struct TorchTensor {
  std::string storage = {};  // its key
  std::uint64_t offset = 0;  // elements
  std::vector<std::uint64_t> shape = {};
  std::uint64_t elements = 0;
  std::uint64_t element_size = 1;
  ElementType type = ElementType::other;
  bool is_float = false;
  bool is_bool = false;
};

struct TorchModel {
  std::map<std::string, TorchStorage, std::less<>> storages = {};
  std::map<PickleRef, TorchTensor> tensors = {};  // by the call that rebuilds them
  std::uint64_t parameters = 0;                   // elements of all tensors
};

// Bytes of an element of "torch float32" and the like; 0 if it is no dtype we know.
std::uint64_t dtype_size(std::string_view dtype);

// Fails the judgement where a storage or tensor is described wrongly. `name` is the pickle's own,
// for the findings.
TorchModel read_torch_model(const Pickle& pickle, std::string_view name, Judgement& judgement);

// The file the names are in: a TorchScript archive brings classes of its own, and the description
// of a distributed checkpoint is made of torch's.
enum class TorchNames { checkpoint, script, distributed };

// Names of the globals decide: hostile, unverified, or fine.
void judge_globals(const std::vector<std::string>& globals, TorchNames kind, Judgement& judgement);

// The pickle that `bytes` begin with, its names judged first, even those before some damage: Python
// runs them. Nothing where it is none. One whose names failed the judgement is given all the same,
// so that what follows it can be looked at too.
std::optional<Pickle> read_judged_pickle(std::string_view bytes, TorchNames kind,
                                         Judgement& judgement);

// Bytes that hold a pickle where no loader should look for one: only attacks count.
void judge_attacks(std::string_view bytes, Judgement& judgement);

// The numbers a tensor holds, if they are few and can be had; for the optimizer's step counters.
using ReadStorage =
    std::function<std::string(const std::string& key, std::uint64_t at, std::size_t bytes)>;

// What its top level says that is compared with other files of the folder.
void learn_facts(const Pickle& pickle, const TorchModel& model, FileFacts& facts);

// The parts of a training state, and whether they fit each other. What is missing is told; what
// cannot belong together fails. The optimizers' are kept in `facts`.
void judge_resume(const Pickle& pickle, const TorchModel& model, const ReadStorage& read,
                  FileFacts& facts, Judgement& judgement);

}  // namespace rgt
