// SPDX-License-Identifier: MIT
#include "core/box/torch_report.h"

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kLine = 200;     // bytes of a version or a complaint that a person will read
constexpr std::size_t kMaxArchs = 64;  // torch has a dozen

void take(TorchReport& torch, std::string_view key, std::string_view value) {
  if (key == "version") torch.version = clean_line(value, kLine);
  if (key == "cuda" && value != "None") torch.cuda = clean_line(value, 20);
  if (key == "available") torch.available = value == "True";
  if (key == "capability") torch.capability = clean_line(value, 20);
  if (key == "error") torch.trouble = clean_line(value, kLine);
  const auto count = parse_uint(value);
  if (key == "devices" && count && *count <= 1024) torch.devices = static_cast<int>(*count);
  if (key != "archs") return;
  for (std::string_view arch : split(value, ' ')) {
    if (!arch.empty() && torch.archs.size() < kMaxArchs)
      torch.archs.push_back(clean_line(arch, 40));
  }
}

}  // namespace

TorchReport read_torch(int status, std::string_view text) {
  TorchReport torch;
  torch.asked = true;
  std::string words;  // the last line that is not ours: an exception's, or the shell's
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.substr(0, 4) != "rgt ") {
      if (!line.empty()) words = clean_line(line, kLine);
      continue;
    }
    line.remove_prefix(4);
    const std::size_t space = std::min(line.find(' '), line.size());
    take(torch, line.substr(0, space), trim(line.substr(space)));
  }
  if (status == 124) torch.trouble = "no answer in time";
  if (torch.trouble.empty() && (status != 0 || torch.version.empty())) {
    torch.trouble = words.empty() ? "exit status " + std::to_string(status) : words;
  }
  return torch;
}

// A cubin for sm_XY runs on devices of the same major and at least that minor; PTX ("compute_XY")
// is compiled for anything newer. CUDA C++ Programming Guide, binary and PTX compatibility.
std::optional<bool> has_kernels(const TorchReport& torch) {
  const auto device = cuda_number(torch.capability);
  if (!device || torch.archs.empty()) return std::nullopt;
  for (const std::string& arch : torch.archs) {
    const std::size_t line = arch.find('_');
    if (line == std::string::npos) continue;
    std::string_view digits = std::string_view(arch).substr(line + 1);
    const bool exact = !digits.empty() && digits.back() == 'a';  // "sm_90a": that one only
    if (exact) digits.remove_suffix(1);
    const auto number = parse_uint(digits);
    if (!number || *number > 9999) continue;
    const int built = static_cast<int>(*number / 10 * 1000 + *number % 10);
    if (exact ? built == *device
              : built <= *device &&
                    (arch.substr(0, line) == "compute" || built / 1000 == *device / 1000)) {
      return true;
    }
  }
  return false;
}

std::optional<int> cuda_number(std::string_view version) {
  const std::size_t dot = version.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto major = parse_uint(version.substr(0, dot));
  std::string_view rest = version.substr(dot + 1);
  const auto minor = parse_uint(rest.substr(0, rest.find('.')));
  if (!major || !minor || *major > 999 || *minor > 999) return std::nullopt;
  return static_cast<int>(*major * 1000 + *minor);
}

}  // namespace rgt
