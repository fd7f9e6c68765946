// SPDX-License-Identifier: MIT
// Any bytes as the words of nvidia-smi, the kernel log and torch. The first byte chooses the
// question that the rest answers; a second GPU answer gives the uuids that the others need.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/text.h"
#include "core/box/gpu_report.h"
#include "core/box/torch_report.h"

namespace {

void check_text(const std::string& text, std::size_t limit) {
  rgt::require(text.size() <= limit, "a text is too long");
  rgt::require(rgt::is_valid_utf8(text), "a text is not UTF-8");
  rgt::require(text.find('\n') == std::string::npos, "a text has more than one line");
}

void check_report(const rgt::GpuReport& report) {
  rgt::require(report.gpus.size() <= 64, "too many GPUs");
  rgt::require(report.processes.size() <= 512, "too many processes");
  check_text(report.trouble, 500);
  for (const rgt::GpuInfo& gpu : report.gpus) {
    for (const std::string& text : {gpu.uuid, gpu.name, gpu.bus_id, gpu.driver, gpu.compute_mode})
      check_text(text, 200);
    rgt::require(gpu.mig_devices.size() <= 64, "too many slices");
    rgt::require(gpu.temperature_celsius.value_or(0) >= 0, "a negative temperature");
    if (gpu.slowdowns) (void)rgt::slowdown_names(*gpu.slowdowns);
    const auto unlisted = rgt::unlisted_memory_mib(report, gpu);
    if (unlisted) rgt::require(*unlisted <= *gpu.memory_used_mib, "more unlisted than used");
  }
  for (const rgt::GpuProcess& process : report.processes) check_text(process.name, 200);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const char* const questions[] = {"gpu", "apps", "remapped", "header", "list", "other"};
  rgt::GpuAnswer answer{questions[data[0] % 6], data[0] & 64 ? 2 : 0, std::string(text)};
  const rgt::GpuAnswer known{
      "gpu", 0, "index, uuid, name, memory.used [MiB]\n0, GPU-a, A, 100\n1, GPU-b, B, 200\n"};
  check_report(rgt::read_gpu_answers({answer}));
  check_report(rgt::read_gpu_answers({known, answer}));
  for (const std::string_view line : rgt::split(text, '\n')) {
    const auto event = rgt::read_xid(line);
    if (!event) continue;
    check_text(event->words, 200);
    rgt::require(event->code >= 0 && event->code <= 9999, "an Xid out of range");
  }
  const rgt::TorchReport torch = rgt::read_torch(data[0] & 64 ? 1 : 0, text);
  check_text(torch.trouble, 200);
  rgt::require(torch.archs.size() <= 64, "too many architectures");
  (void)rgt::has_kernels(torch);
  return 0;
}
