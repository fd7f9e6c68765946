// SPDX-License-Identifier: MIT
// What the box's torch says about itself and the GPUs (kTorchProbe in survey.sh prints it).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rgt {

struct TorchReport {
  bool asked = false;
  std::string trouble = {};  // why there is no answer: no such interpreter, no torch, a crash
  std::string version = {};  // "2.4.0+cu121"
  std::string cuda = {};     // that it was built for, "12.1"; empty: a CPU-only build
  std::optional<bool> available = {};  // torch.cuda.is_available()
  std::optional<int> devices = {};
  std::string capability = {};          // of device 0: "9.0"
  std::vector<std::string> archs = {};  // "sm_80", "sm_90", "compute_90"
};

// Lines "rgt KEY VALUE" among any others (warnings); status is the interpreter's. Fuzzed.
TorchReport read_torch(int status, std::string_view text);

// Has this build kernels, or PTX to compile, for its device? nullopt: not told.
std::optional<bool> has_kernels(const TorchReport& torch);

// "12.4" as 12004; nullopt for anything else.
std::optional<int> cuda_number(std::string_view version);

}  // namespace rgt
