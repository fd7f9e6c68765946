// SPDX-License-Identifier: MIT
#include "tools/reported_steps.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>

#include "core/artifact/file_facts.h"
#include "core/triage/progress.h"

namespace rgt {
namespace {

struct HeldProgress {
  std::optional<double> step = {}, epoch = {};
  std::string path = {};
};

constexpr std::array kStepKeys{"global_step", "step", "iteration", "iter"};
constexpr std::array kEpochKeys{"epoch", "current_epoch"};

template <std::size_t N>
std::optional<double> first_of(const FileFacts& facts, const std::array<const char*, N>& keys) {
  for (const char* key : keys) {
    const auto found = facts.numbers.find(key);
    if (found != facts.numbers.end() && found->second >= 0) return found->second;
  }
  return std::nullopt;
}

// "checkpoint-1200/model.safetensors": how Hugging Face's Trainer names its folders.
std::optional<double> step_in_path(std::string_view path) {
  constexpr std::string_view kPrefix = "checkpoint-";
  for (std::size_t at = path.find(kPrefix); at != std::string_view::npos;
       at = path.find(kPrefix, at + 1)) {
    const std::string_view rest = path.substr(at + kPrefix.size());
    std::uint64_t step = 0;
    const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), step);
    const bool named = at == 0 || path[at - 1] == '/';
    if (named && read.ec == std::errc() && read.ptr != rest.data() + rest.size() &&
        *read.ptr == '/')
      return static_cast<double>(step);
  }
  return std::nullopt;
}

HeldProgress held_by(const ArtifactItem& item) {
  HeldProgress held{.path = item.entry.path};
  held.step = step_in_path(item.entry.path);
  const FileFacts* facts = item.report.facts.get();
  if (facts == nullptr) return held;
  if (const auto step = first_of(*facts, kStepKeys)) held.step = step;
  held.epoch = first_of(*facts, kEpochKeys);
  for (const OptimizerFacts& optimizer : facts->optimizers) {
    if (!held.step && optimizer.most_step >= 0) held.step = optimizer.most_step;
  }
  return held;
}

void keep_highest(HeldProgress& kept, const HeldProgress& one) {
  const bool further = one.step && (!kept.step || *one.step > *kept.step);
  const bool later = one.epoch && (!kept.epoch || *one.epoch > *kept.epoch);
  if (further) kept.step = one.step;
  if (later) kept.epoch = one.epoch;
  if (further || (later && !one.step && !kept.step)) kept.path = one.path;
}

std::string words(const char* format, double number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

// Nothing if the two do not speak of the same thing.
std::optional<ReportedSteps> compare(const std::string& cell, const Progress& reported,
                                     const HeldProgress& held) {
  const auto row = [&](const char* format, double by_log, double by_file, double allowed) {
    return ReportedSteps{.cell = cell,
                         .log = words(format, by_log),
                         .checkpoint = words(format, by_file),
                         .path = held.path,
                         .behind = by_file + allowed < by_log};
  };
  if (reported.step && held.step)
    return row("step %.0f", static_cast<double>(*reported.step), *held.step, 0);
  if (reported.epoch && held.epoch) return row("epoch %.6g", *reported.epoch, *held.epoch, 1);
  return std::nullopt;
}

}  // namespace

std::vector<ReportedSteps> compare_steps(const std::vector<CellMemory>& memory,
                                         const std::vector<ArtifactItem>& items) {
  std::map<std::string, HeldProgress> held;
  for (const ArtifactItem& item : items) {
    if (item.verdict == "ok") keep_highest(held[item.entry.cell], held_by(item));
  }
  std::vector<ReportedSteps> compared;
  for (const CellMemory& cell : memory) {
    if (auto row = compare(cell.cell, read_progress(cell.tail), held[cell.cell]))
      compared.push_back(std::move(*row));
  }
  return compared;
}

}  // namespace rgt
