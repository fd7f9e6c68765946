// SPDX-License-Identifier: MIT
// Folders that a training loop writes a file per part into: Hugging Face Trainer's `checkpoint-N/`
// and accelerate's save_state. Sources: transformers, trainer.py and trainer_callback.py;
// accelerate, checkpointing.py.
#include <algorithm>
#include <cmath>

#include "core/artifact/folder.h"
#include "core/artifact/json_walk.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using Report = const ArtifactReport*;
using Numbers = std::set<std::uint64_t>;

constexpr std::uint64_t kStateMost = 64u << 20;  // bytes: a log of a million steps
constexpr std::uint64_t kRanksMost = 100000;     // no cluster has more

std::string as_count(double number) {
  return std::to_string(static_cast<std::int64_t>(std::clamp(number, -1e18, 1e18)));
}

// The numbers in the names of the files between `head` and `tail`.
Numbers numbers_of(const FolderNames& names, std::string_view head, std::string_view tail) {
  Numbers numbers;
  for (auto name = names.files.lower_bound(head);
       name != names.files.end() && name->starts_with(head); ++name) {
    const auto number = number_in(*name, head, tail);
    if (number && *number < kRanksMost) numbers.insert(*number);
  }
  return numbers;
}

// 0 to the highest: a number that is left out was lost.
void expect_contiguous(const Numbers& numbers, const std::string& what, Judgement& judgement) {
  if (!numbers.empty()) expect_all(numbers, 0, *numbers.rbegin() + 1, what, judgement);
}

std::vector<Report> files_named(const Folder& folder, std::string_view head,
                                std::string_view tail) {
  std::vector<Report> found;
  for (const std::string& name : folder.names.files) {
    if (name == std::string(head) + std::string(tail) ||
        number_in(name, std::string(head) + "_", tail))
      found.push_back(folder.file(name));
  }
  return found;
}

std::optional<double> number_at(Report file, const std::string& key) {
  if (file == nullptr || file->facts == nullptr) return std::nullopt;
  const auto found = file->facts->numbers.find(key);
  return found == file->facts->numbers.end() ? std::nullopt : std::optional(found->second);
}

// FSDP and DeepSpeed leave the state to folders of their own.
bool use_sets(const FolderCheck& check) {
  bool any = false;
  for (const auto& [name, report] : check.folder.sets) {
    const bool part = name.starts_with("pytorch_model_fsdp_") || name.starts_with("optimizer_") ||
                      report->format == "deepspeed_zero";
    if (!part) continue;
    judge_set(check, name);
    any = true;
  }
  return any;
}

// ---- Hugging Face Trainer

struct TrainerState {
  std::optional<double> global_step = {}, epoch = {};
  double last_logged = -1;
};

// "log_history", index, "step"
bool is_log_step(const JsonPath& path) {
  return path.size() == 3 && path[0] == "log_history" && path[2] == "step";
}

std::optional<TrainerState> parse_state(std::string_view text, Judgement& judgement) {
  TrainerState state;
  std::string wrong;
  const auto done = walk_json(text, [&](const JsonPath& path, const JsonScalar& value) {
    const bool top = path.size() == 1;
    if (top && path[0] == "global_step" && value.kind == JsonScalar::Kind::integer)
      state.global_step = value.real;
    if (top && path[0] == "epoch" && value.is_number()) state.epoch = value.real;
    if (!is_log_step(path) || !value.is_number()) return;
    if (value.real < state.last_logged && wrong.empty())
      wrong = "its log goes back from step " + as_count(state.last_logged) + " to " +
              as_count(value.real);
    state.last_logged = value.real;
  });
  if (!done) wrong = done.error().message;
  if (wrong.empty() && (!state.global_step || *state.global_step < 0))
    wrong = "it has no global_step";
  if (wrong.empty() && state.last_logged > *state.global_step)
    wrong = "its log reaches step " + as_count(state.last_logged) + ", global_step is " +
            as_count(*state.global_step);
  if (wrong.empty()) return state;
  judgement.fail(ArtifactVerdict::corrupt, "trainer_state.json: " + wrong);
  return std::nullopt;
}

// "checkpoint-500" -> 500
std::optional<std::uint64_t> step_in_name(const FolderNames& names) {
  return number_in(names.name, "checkpoint-", "");
}

class TrainerReader {
 public:
  explicit TrainerReader(const FolderCheck& check)
      : check_(check), names_(check.folder.names), judgement_(check.judgement) {}

  Result<void> read() {
    const auto text = member_text(check_, "trainer_state.json", kStateMost);
    if (!text) return text.error();
    std::optional<TrainerState> state;
    if (*text) state = parse_state(**text, judgement_);
    const auto step = step_in_name(names_);
    if (state && step && *state->global_step != static_cast<double>(*step))
      judgement_.fail(ArtifactVerdict::corrupt, "the folder is of step " + std::to_string(*step) +
                                                    ", trainer_state.json of step " +
                                                    as_count(*state->global_step));
    elsewhere_ = use_sets(check_);
    weights_ = weight_files(check_.folder);
    if (weights_.empty() && !elsewhere_)
      judgement_.fail(ArtifactVerdict::incomplete, "it holds no weights");
    judge_parts();
    judge_ranks();
    if (state && !judgement_.failed()) judge_steps(*state->global_step);
    if (check_.depth >= Depth::resume) judgement_.reached(Depth::resume);
    return {};
  }

 private:
  // Trainer writes all of them, or with save_only_model none.
  void judge_parts() {
    optimizers_ = files_named(check_.folder, "optimizer", ".pt");
    for (Report file : files_named(check_.folder, "optimizer", ".bin")) optimizers_.push_back(file);
    const bool scheduler = names_.has("scheduler.pt");
    const bool rng = names_.has("rng_state.pth") || !ranks().empty();
    const bool optimizer = !optimizers_.empty() || elsewhere_;
    if (!optimizer && !scheduler && !rng)
      return judgement_.info(
          "no optimizer, scheduler and RNG state: enough for inference, not for an exact resume");
    std::vector<std::string> missing;
    if (!optimizer) missing.emplace_back("the optimizer (optimizer.pt)");
    // DeepSpeed may keep the scheduler with its own state.
    if (!scheduler && !elsewhere_) missing.emplace_back("the scheduler (scheduler.pt)");
    if (!rng) missing.emplace_back("the RNG states (rng_state.pth)");
    const bool fp16 = number_at(check_.folder.file("training_args.bin"), "fp16").value_or(0) != 0;
    if (fp16 && !names_.has("scaler.pt") && !elsewhere_)
      missing.emplace_back("the gradient scaler of fp16 (scaler.pt)");
    if (!missing.empty())
      return judgement_.fail(ArtifactVerdict::incomplete,
                             "a resume would miss " + join(missing, " and "));
    judgement_.info("training state: weights, optimizer, scheduler, RNG" +
                    std::string(names_.has("scaler.pt") ? ", scaler" : "") + " and step are there");
  }

  Numbers ranks() const { return numbers_of(names_, "rng_state_", ".pth"); }

  void judge_ranks() {
    const Numbers all = ranks();
    expect_contiguous(all, "the RNG state of rank", judgement_);
    if (!all.empty())
      judgement_.info(std::to_string(all.size()) + " ranks: resume with as many processes");
  }

  void judge_steps(double global_step) {
    judge_optimizers(weights_, optimizers_, global_step, judgement_);
    const auto scheduled = number_at(check_.folder.file("scheduler.pt"), "last_epoch");
    if (scheduled && *scheduled > global_step)
      judgement_.fail(ArtifactVerdict::corrupt, "the scheduler is at step " + as_count(*scheduled) +
                                                    ", global_step is " + as_count(global_step) +
                                                    ": they were not saved together");
    else if (scheduled && *scheduled < global_step)
      judgement_.warn("the scheduler is at step " + as_count(*scheduled) + ", global_step is " +
                      as_count(global_step) +
                      ": right only where steps were skipped or it does not count them");
  }

  const FolderCheck& check_;
  const FolderNames& names_;
  Judgement& judgement_;
  bool elsewhere_ = false;  // the state is in folders of DeepSpeed's or FSDP's
  std::vector<Report> weights_ = {}, optimizers_ = {};
};

// ---- accelerate

class AccelerateReader {
 public:
  explicit AccelerateReader(const FolderCheck& check)
      : check_(check), names_(check.folder.names), judgement_(check.judgement) {}

  Result<void> read() {
    const bool elsewhere = use_sets(check_);
    auto weights = weight_files(check_.folder);
    const bool below =
        std::any_of(check_.folder.files.begin(), check_.folder.files.end(), [](const auto& entry) {
          return entry.first.find('/') != std::string::npos && entry.second->tensors > 0;
        });
    if (weights.empty() && !elsewhere && !below)
      judgement_.fail(ArtifactVerdict::incomplete, "it holds no weights");
    const auto optimizers = files_named(check_.folder, "optimizer", ".bin");
    const auto schedulers = files_named(check_.folder, "scheduler", ".bin");
    if (optimizers.empty() && !elsewhere)
      judgement_.fail(ArtifactVerdict::incomplete,
                      "a resume would miss the optimizer (optimizer.bin)");
    if (schedulers.empty())
      judgement_.info("no scheduler (scheduler.bin): right only if the job has none");
    judge_ranks();
    expect_contiguous(numbers_of(names_, "custom_checkpoint_", ".pkl"), "the custom object",
                      judgement_);
    if (!names_.has("scaler.pt"))
      judgement_.info("no gradient scaler: right unless it trains in float16");
    if (!judgement_.failed()) judge_optimizers(weights, optimizers, std::nullopt, judgement_);
    if (!judgement_.failed() && !optimizers.empty())
      judgement_.info("training state: weights, optimizer" +
                      std::string(schedulers.empty() ? "" : ", scheduler") + " and RNG are there");
    if (check_.depth >= Depth::resume) judgement_.reached(Depth::resume);
    return {};
  }

 private:
  // Each rank writes its random state last, with the step it was at.
  void judge_ranks() {
    const Numbers ranks = numbers_of(names_, "random_states_", ".pkl");
    if (ranks.empty())
      return judgement_.fail(ArtifactVerdict::incomplete,
                             "no random states: they are written last, so the save did not end");
    expect_contiguous(ranks, "the random state of rank", judgement_);
    std::set<double> steps;
    for (const std::uint64_t rank : ranks) {
      const auto step =
          number_at(check_.folder.file("random_states_" + std::to_string(rank) + ".pkl"), "step");
      if (step) steps.insert(*step);
    }
    if (steps.size() > 1)
      judgement_.fail(ArtifactVerdict::corrupt,
                      "its ranks are at different steps, " + as_count(*steps.begin()) + " to " +
                          as_count(*steps.rbegin()) + ": they were not saved together");
  }

  const FolderCheck& check_;
  const FolderNames& names_;
  Judgement& judgement_;
};

}  // namespace

std::vector<const ArtifactReport*> weight_files(const Folder& folder) {
  std::vector<Report> found;
  for (const std::string& name : folder.names.files) {
    const bool shard = name.find("-of-") != std::string::npos && !name.ends_with(".json");
    for (const std::string_view head : {"model", "pytorch_model", "pytorch_model_fsdp",
                                        "adapter_model", "diffusion_pytorch_model"}) {
      if (!name.starts_with(head)) continue;
      const std::string_view rest = std::string_view(name).substr(head.size());
      const bool whole = rest == ".safetensors" || rest == ".bin" ||
                         number_in(rest, "_", ".safetensors") || number_in(rest, "_", ".bin");
      if (whole || (shard && rest.starts_with("-"))) found.push_back(folder.file(name));
    }
  }
  return found;
}

void judge_optimizers(const std::vector<Report>& weights, const std::vector<Report>& optimizers,
                      std::optional<double> global_step, Judgement& judgement) {
  std::set<std::vector<std::uint64_t>> shapes;
  std::uint64_t tensors = 0;
  bool known = !weights.empty();
  for (Report file : weights) {
    known &= file->facts != nullptr && !file->facts->partial;
    if (!known) break;
    tensors += file->facts->tensors.size();
    for (const TensorFact& tensor : file->facts->tensors) shapes.insert(tensor.shape);
  }
  const auto unfit = [&](ArtifactVerdict verdict, const std::string& what) {
    judgement.fail(verdict, what + ": they were not saved together");
  };
  for (Report file : optimizers) {
    if (file->facts == nullptr) continue;
    if (file->depth == Depth::resume && file->facts->optimizers.empty())
      judgement.warn("the optimizer's file holds no param_groups and state");
    for (const OptimizerFacts& optimizer : file->facts->optimizers) {
      if (known && optimizer.parameters > tensors)
        return unfit(ArtifactVerdict::incomplete,
                     "the optimizer steps " + std::to_string(optimizer.parameters) +
                         " parameters, the weights are only " + std::to_string(tensors));
      const bool fits = std::all_of(optimizer.moments.begin(), optimizer.moments.end(),
                                    [&](const auto& shape) { return shapes.contains(shape); });
      if (known && !fits)
        return unfit(ArtifactVerdict::incomplete,
                     "the optimizer holds a moment of a shape that no weight has");
      if (!global_step || optimizer.most_step < 0) continue;
      const std::string steps = "the optimizer has taken " + as_count(optimizer.most_step) +
                                " steps, global_step is " + as_count(*global_step);
      if (optimizer.most_step > *global_step) return unfit(ArtifactVerdict::corrupt, steps);
      if (optimizer.most_step < *global_step)
        judgement.warn(steps + ": right only where steps were skipped or it began anew");
    }
  }
}

// The last of its files to be written tells it, or its name and one of the others.
bool is_hf_trainer(const FolderNames& names) {
  const bool files = names.has("optimizer.pt") || names.has("rng_state.pth") ||
                     names.has("rng_state_0.pth") || names.has("training_args.bin");
  return names.has("trainer_state.json") || (step_in_name(names) && files);
}
Result<void> read_hf_trainer(const FolderCheck& check) { return TrainerReader(check).read(); }

bool is_accelerate(const FolderNames& names) {
  const bool weights = names.has("model.safetensors") || names.has("pytorch_model.bin");
  return !numbers_of(names, "random_states_", ".pkl").empty() ||
         (weights && names.has("optimizer.bin") && !is_hf_trainer(names));
}
Result<void> read_accelerate(const FolderCheck& check) { return AccelerateReader(check).read(); }

}  // namespace rgt
