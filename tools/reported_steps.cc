// SPDX-License-Identifier: MIT
#include "tools/reported_steps.h"

#include <array>
#include <charconv>
#include <map>

#include "core/artifact/file_facts.h"

namespace rgt {
namespace {

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

// Nothing if the two do not speak of the same thing.
std::optional<bool> is_behind(const Progress& reported, const HeldProgress& held) {
  if (reported.step && held.step) return *held.step < static_cast<double>(*reported.step);
  if (reported.epoch && held.epoch) return *held.epoch + 1 < *reported.epoch;
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
    ReportedSteps one{
        .cell = cell.cell, .reported = read_progress(cell.tail), .held = held[cell.cell]};
    const auto behind = is_behind(one.reported, one.held);
    if (!behind) continue;
    one.behind = *behind;
    compared.push_back(std::move(one));
  }
  return compared;
}

}  // namespace rgt
