// SPDX-License-Identifier: MIT
// DeepSpeed's ZeRO checkpoints: a folder per tag with a file per rank, and `latest`, which names
// the newest whole tag. Source: DeepSpeed, runtime/engine.py (save_checkpoint) and
// utils/zero_to_fp32.py.
#include <algorithm>

#include "core/artifact/folder.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using Report = const ArtifactReport*;

constexpr std::uint64_t kLatestMost = 4096;   // bytes: it is one name
constexpr std::uint64_t kRanksMost = 100000;  // no cluster has more

// zero_pp_rank_R_mp_rank_XX_optim_states.pt and the like: whose state, of which kind.
struct RankFile {
  std::uint64_t data_rank = 0, model_rank = 0;
  bool optimizer = false;
  bool per_data_rank = false;
};

std::optional<RankFile> parse_rank_file(std::string_view name) {
  RankFile file;
  for (const std::string_view precision : {"bf16_", "fp16_"}) {
    if (name.starts_with(precision)) name.remove_prefix(precision.size());
  }
  constexpr std::string_view kModel = "_model_states.pt", kOptimizer = "_optim_states.pt";
  file.optimizer = name.ends_with(kOptimizer);
  if (!file.optimizer && !name.ends_with(kModel)) return std::nullopt;
  name.remove_suffix(file.optimizer ? kOptimizer.size() : kModel.size());
  const std::size_t at = name.find("mp_rank_");
  if (at == std::string_view::npos) return std::nullopt;
  const auto model_rank = number_in(name.substr(at), "mp_rank_", "");
  if (!model_rank || *model_rank >= kRanksMost) return std::nullopt;
  file.model_rank = *model_rank;
  if (at == 0) return file;
  const auto data_rank = number_in(name.substr(0, at), "zero_pp_rank_", "_");
  if (!data_rank || *data_rank >= kRanksMost) return std::nullopt;
  file.data_rank = *data_rank;
  file.per_data_rank = true;
  return file;
}

class TagReader {
 public:
  explicit TagReader(const FolderCheck& check) : check_(check), judgement_(check.judgement) {}

  void read() {
    for (const std::string& name : check_.folder.names.files) {
      const auto parsed = parse_rank_file(name);
      if (parsed) take(*parsed, check_.folder.file(name));
    }
    if (models_.empty())
      judgement_.fail(ArtifactVerdict::incomplete, "no rank's model states are there");
    check_ranks();
    check_steps();
    if (!check_.folder.parent_has_latest)
      judgement_.warn(
          "no `latest` beside it names this tag: it is written last, so another save may not have "
          "ended; a resume must name the tag itself");
    if (check_.depth >= Depth::resume) judgement_.reached(Depth::resume);
  }

 private:
  std::optional<double> number(Report file, const std::string& key) const {
    if (file->facts == nullptr) return std::nullopt;
    const auto found = file->facts->numbers.find(key);
    if (found == file->facts->numbers.end()) return std::nullopt;
    return std::clamp(found->second, -1.0, 1e15);
  }

  void take(const RankFile& rank, Report file) {
    (rank.optimizer ? optimizers_ : models_)[rank.model_rank].insert(rank.data_rank);
    model_per_rank_ |= !rank.optimizer && rank.per_data_rank;
    for (const char* key : {"dp_world_size", "optimizer_state_dict.partition_count"}) {
      if (const auto count = number(file, key)) world_sizes_.insert(*count);
    }
    if (const auto count = number(file, "mp_world_size")) model_sizes_.insert(*count);
    if (const auto step = number(file, "global_steps")) steps_.insert(*step);
    if (const auto stage = number(file, "optimizer_state_dict.zero_stage")) stage_ = *stage;
  }

  // What they say must be one number; else they are of different runs.
  std::optional<std::uint64_t> one(const std::set<double>& numbers, const std::string& what) {
    if (numbers.size() > 1)
      judgement_.fail(ArtifactVerdict::corrupt, "its files disagree about the " + what + ": " +
                                                    count(*numbers.begin()) + " and " +
                                                    count(*numbers.rbegin()));
    if (numbers.size() != 1 || *numbers.begin() < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*numbers.begin());
  }
  static std::string count(double number) {
    return std::to_string(static_cast<std::int64_t>(number));
  }

  void check_ranks() {
    const auto world = one(world_sizes_, "number of data-parallel ranks");
    const auto model_world = one(model_sizes_, "number of model-parallel ranks");
    if (judgement_.failed()) return;
    std::uint64_t highest = 0;
    for (const auto* all : {&models_, &optimizers_}) {
      if (!all->empty()) highest = std::max(highest, all->rbegin()->first);
    }
    const std::uint64_t models = std::max(model_world.value_or(0), highest + 1);
    if (model_world && highest >= *model_world)
      judgement_.fail(ArtifactVerdict::corrupt,
                      "it holds model-parallel rank " + std::to_string(highest) + " of " +
                          std::to_string(*model_world) + ": left from a larger run");
    if (models > kRanksMost)
      return judgement_.fail(ArtifactVerdict::corrupt, "it claims more ranks than there are");
    for (std::uint64_t rank = 0; rank < models && !judgement_.failed(); ++rank) {
      const std::string name = "model-parallel rank " + std::to_string(rank);
      if (!models_.contains(rank))
        judgement_.fail(ArtifactVerdict::incomplete,
                        "the model states of " + name + " are missing");
      else if (model_per_rank_)
        check_data_ranks(models_[rank], world, "model states of " + name);
      if (!optimizers_.empty()) check_data_ranks(optimizers_[rank], world, "optimizer of " + name);
    }
    if (optimizers_.empty())
      judgement_.info("no ZeRO optimizer files: right only without ZeRO, or for the weights alone");
    else if (!judgement_.failed())
      judgement_.info("the optimizer states of all " + std::to_string(optimizers_[0].size()) +
                      " data-parallel ranks are there" +
                      (stage_ ? ", ZeRO stage " + count(*stage_) : std::string()));
    if (!world && !judgement_.failed())
      judgement_.fail(ArtifactVerdict::unverified,
                      "nothing in it says how many ranks there were: whether one is missing at the "
                      "end is not known");
  }

  void check_data_ranks(const std::set<std::uint64_t>& there,
                        const std::optional<std::uint64_t>& world, const std::string& what) {
    const std::uint64_t count = world.value_or(there.empty() ? 1 : *there.rbegin() + 1);
    if (!there.empty() && *there.rbegin() >= count)
      return judgement_.fail(ArtifactVerdict::corrupt,
                             "it holds data-parallel rank " + std::to_string(*there.rbegin()) +
                                 " of " + std::to_string(count) + ": left from a larger run");
    expect_all(there, 0, count, "the " + what + ": data-parallel rank", judgement_);
  }

  void check_steps() {
    const auto step = one(steps_, "step");
    const auto named = number_in(check_.folder.names.name, "global_step", "");
    if (step && named && *step != *named)
      judgement_.fail(ArtifactVerdict::corrupt, "its tag is of step " + std::to_string(*named) +
                                                    ", its files are of step " +
                                                    std::to_string(*step));
  }

  const FolderCheck& check_;
  Judgement& judgement_;
  std::map<std::uint64_t, std::set<std::uint64_t>> models_ = {}, optimizers_ = {};  // dp by mp rank
  bool model_per_rank_ = false;  // ZeRO stage 3: each data-parallel rank has its part of the model
  std::set<double> world_sizes_ = {}, model_sizes_ = {}, steps_ = {};
  std::optional<double> stage_ = {};
};

bool is_tag(const FolderNames& names) {
  return std::any_of(names.files.begin(), names.files.end(),
                     [](const std::string& name) { return parse_rank_file(name).has_value(); });
}

bool has_tags(const FolderNames& names) {
  return names.has("latest") && !is_tag(names) &&
         (names.has("zero_to_fp32.py") ||
          std::any_of(names.folders.begin(), names.folders.end(),
                      [](const std::string& name) { return name.starts_with("global_step"); }));
}

// The tag that `latest` names, and that it is there and whole.
Result<void> read_latest(const FolderCheck& check) {
  const auto text = member_text(check, "latest", kLatestMost);
  if (!text) return text.error();
  if (!*text) return {};
  const std::string tag(trim(**text));
  if (tag.empty() || tag == "." || tag == ".." || tag.size() > 255 ||
      tag.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
    check.judgement.fail(ArtifactVerdict::corrupt, "`latest` is no name of a tag");
    return {};
  }
  const auto found = check.folder.sets.find(tag);
  if (found == check.folder.sets.end() || found->second->format != "deepspeed_zero") {
    check.judgement.fail(ArtifactVerdict::incomplete,
                         "`latest` names " + shown(tag) + ", which is not there");
    return {};
  }
  check.judgement.info("`latest` names " + shown(tag));
  judge_set(check, tag);
  prove_member(*check.folder.files.find("latest")->second, Depth::structure,
               "it names a tag that is there");
  for (const auto& [name, report] : check.folder.sets) {
    const auto step = number_in(name, "global_step", ""),
               latest = number_in(tag, "global_step", "");
    if (step && latest && *step > *latest)
      check.judgement.warn(shown(name) +
                           " is newer than `latest`: its save did not end, or it was moved back");
  }
  if (check.depth >= Depth::resume) check.judgement.reached(Depth::resume);
  return {};
}

}  // namespace

bool is_deepspeed(const FolderNames& names) { return is_tag(names) || has_tags(names); }

Result<void> read_deepspeed(const FolderCheck& check) {
  if (!is_tag(check.folder.names)) return read_latest(check);
  TagReader(check).read();
  return {};
}

}  // namespace rgt
