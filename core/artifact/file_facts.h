// SPDX-License-Identifier: MIT
// FileFacts: what a file's reader learned that matters only beside other files of its folder. Kept
// so that no file is read twice; folder readers (folder.h) compare it. Names are as the file has
// them: clean them before they are shown.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rgt {

struct TensorFact {
  std::string name = {};  // empty where the file is one tensor and nothing else
  std::uint64_t bytes = 0;
  std::vector<std::uint64_t> shape = {};
  bool is_bool = false;
};

// One optimizer's state_dict.
struct OptimizerFacts {
  std::uint64_t parameters = 0;                          // that its groups name
  std::uint64_t states = 0;                              // of them that have been stepped
  double least_step = -1, most_step = -1;                // -1: it counts no steps
  std::vector<std::vector<std::uint64_t>> moments = {};  // their shapes
};

struct FileFacts {
  std::vector<TensorFact> tensors = {};         // those with a name at the top level, sorted by it
  bool partial = false;                         // there are more than any model has
  std::uint64_t shared_bytes = 0;               // of them on a storage that another one has too
  std::map<std::string, double> numbers = {};   // top-level "key", and "key.key" one level below
  std::vector<OptimizerFacts> optimizers = {};  // from Depth::resume on
};

}  // namespace rgt
