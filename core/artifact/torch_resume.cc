// SPDX-License-Identifier: MIT
// Is a checkpoint enough to go on exactly where it was made, and do its parts belong together?
// Sources: torch.optim.Optimizer.state_dict, Lightning's checkpoint_connector.py, and what training
// scripts call their keys.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <set>

#include "core/artifact/pickle_view.h"
#include "core/artifact/torch_model.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using Kind = PickleValue::Kind;
using Shape = std::vector<std::uint64_t>;

constexpr std::size_t kShapesMost = 10000;  // different ones that are kept; models have dozens

std::string show(const Shape& shape) {
  std::vector<std::string> sizes;
  for (const std::uint64_t size : shape) sizes.push_back(std::to_string(size));
  return "[" + join(sizes, ", ") + "]";
}

bool has_word(std::string_view key, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return key.find(word) != std::string_view::npos;
  });
}

// One optimizer's state_dict, as far as it looks like one.
struct OptimizerState {
  std::uint64_t parameters = 0;  // that its groups name
  std::uint64_t states = 0;      // of them that have been stepped
  std::vector<double> steps = {};
  std::vector<Shape> moments = {};
  bool numbered = true;  // its parameters are 0, 1, 2, ...
  bool strays = false;   // a state of a parameter that no group names
};

class ResumeJudge {
 public:
  ResumeJudge(const Pickle& pickle, const TorchModel& model, const ReadStorage& read,
              Judgement& judgement)
      : pickle_(pickle), model_(model), read_(read), judgement_(judgement) {}

  void judge() {
    if (find(pickle_.root, "param_groups") && find(pickle_.root, "state")) return judge_alone();
    for_each_key(pickle_.root, [&](const PickleValue& key, PickleRef value) {
      if (key.kind == Kind::text) take(to_lower(key.text), value);
    });
    if (optimizers_seen_ == 0) {
      judgement_.info(
          "no optimizer state at the top level: enough for inference, not for an exact resume");
      return;
    }
    report_parts();
    for (const OptimizerState& optimizer : optimizers_) check(optimizer);
    check_steps();
  }

  std::vector<OptimizerFacts> facts() const {
    std::vector<OptimizerFacts> all;
    for (const OptimizerState& optimizer : optimizers_) {
      OptimizerFacts one{
          .parameters = optimizer.parameters, .states = optimizer.states, .moments = {}};
      std::set<Shape> shapes;
      for (const Shape& shape : optimizer.moments) {
        if (shapes.size() < kShapesMost) shapes.insert(shape);
      }
      one.moments.assign(shapes.begin(), shapes.end());
      if (!optimizer.steps.empty()) {
        const auto [least, most] =
            std::minmax_element(optimizer.steps.begin(), optimizer.steps.end());
        one.least_step = *least;
        one.most_step = *most;
      }
      all.push_back(std::move(one));
    }
    return all;
  }

 private:
  const PickleValue& at(PickleRef ref) const { return pickle_.values[ref]; }

  // A file of its own for the optimizer, as Trainer and accelerate write it.
  void judge_alone() {
    take_optimizer(pickle_.root);
    for (const OptimizerState& optimizer : optimizers_) {
      judgement_.info("an optimizer's state alone, of " + std::to_string(optimizer.parameters) +
                      " parameters");
      check(optimizer);
    }
    check_steps();
  }

  template <class Take>
  void for_each_key(PickleRef ref, const Take& take) const {
    for_each_entry(pickle_, ref, take);
  }
  std::optional<PickleRef> find(PickleRef ref, std::string_view wanted) const {
    return find_entry(pickle_, ref, wanted);
  }

  void take(const std::string& key, PickleRef value) {
    lightning_ |= key == "pytorch-lightning_version";
    const bool there = at(value).kind != Kind::none;
    if (has_word(key, {"optim"})) {
      ++optimizers_seen_;
      if (at(value).kind == Kind::list || at(value).kind == Kind::tuple) {
        for (const PickleRef each : at(value).items) take_optimizer(each);
      } else {
        take_optimizer(value);
      }
    } else if (has_word(key, {"sched"})) {
      scheduler_ |= there;
    } else if (has_word(key, {"scaler", "mixedprecision", "amp_scaling"}) || key == "amp") {
      scaler_ |= there;
    } else if (has_word(key, {"rng", "random"})) {
      rng_ |= there;
    } else if (has_word(key, {"epoch", "step", "iter"})) {
      step_ = true;
      if (at(value).kind == Kind::integer && has_word(key, {"global_step"}))
        global_step_ = at(value).integer;
    } else if (at(value).kind != Kind::none) {
      const std::size_t before = shapes_.size();
      take_tensors(value);
      weights_ |= shapes_.size() > before;
    }
  }

  // Every tensor below: the weights that the optimizer's states must fit.
  void take_tensors(PickleRef root) {
    std::vector<PickleRef> open{root};
    while (!open.empty()) {
      const PickleRef ref = open.back();
      open.pop_back();
      if (!walked_.insert(ref).second) continue;
      if (const auto tensor = model_.tensors.find(ref); tensor != model_.tensors.end()) {
        shapes_.insert(tensor->second.shape);
        continue;
      }
      open.insert(open.end(), at(ref).items.begin(), at(ref).items.end());
    }
  }

  void take_optimizer(PickleRef ref) {
    const auto groups = find(ref, "param_groups"), states = find(ref, "state");
    if (!groups || !states) return;
    OptimizerState optimizer;
    std::set<std::int64_t> numbers;
    std::set<std::string> names;
    for (const PickleRef group : at(*groups).items) {
      const auto parameters = find(group, "params");
      if (!parameters) continue;
      for (const PickleRef id : at(*parameters).items) {
        if (at(id).kind == Kind::integer) numbers.insert(at(id).integer);
        if (at(id).kind == Kind::text) names.insert(at(id).text);
      }
    }
    optimizer.parameters = numbers.size() + names.size();
    optimizer.numbered =
        numbers.empty() || (*numbers.begin() == 0 &&
                            *numbers.rbegin() == static_cast<std::int64_t>(numbers.size()) - 1);
    for_each_key(*states, [&](const PickleValue& id, PickleRef state) {
      ++optimizer.states;
      optimizer.strays |=
          id.kind == Kind::integer ? !numbers.contains(id.integer) : !names.contains(id.text);
      take_state(state, optimizer);
    });
    optimizers_.push_back(std::move(optimizer));
  }

  void take_state(PickleRef state, OptimizerState& optimizer) const {
    if (const auto step = find(state, "step")) {
      if (const auto number = number_of(*step)) optimizer.steps.push_back(*number);
    }
    for (const char* moment : {"exp_avg", "exp_avg_sq", "momentum_buffer"}) {
      const auto value = find(state, moment);
      const auto tensor = value ? model_.tensors.find(*value) : model_.tensors.end();
      if (tensor != model_.tensors.end()) optimizer.moments.push_back(tensor->second.shape);
    }
  }

  // A plain number, or the only element of a float tensor (since torch 1.12).
  std::optional<double> number_of(PickleRef ref) const {
    if (at(ref).kind == Kind::integer) return static_cast<double>(at(ref).integer);
    const auto found = model_.tensors.find(ref);
    if (found == model_.tensors.end()) return std::nullopt;
    const TorchTensor& tensor = found->second;
    if (tensor.elements != 1 || tensor.type != ElementType::f32) return std::nullopt;
    const std::string bytes = read_(tensor.storage, tensor.offset * 4, 4);
    if (bytes.size() != 4) return std::nullopt;
    float value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return static_cast<double>(value);
  }

  void report_parts() {
    std::string missing;
    if (!weights_) missing += " model";
    if (!scheduler_) missing += " scheduler";
    if (!step_) missing += " step-or-epoch";
    if (!rng_) missing += " RNG";
    if (missing.empty())
      judgement_.info("training state: model, optimizer, scheduler, step and RNG are there");
    else
      judgement_.info("training state without:" + missing +
                      (lightning_ && !rng_ ? " (Lightning never stores RNG)" : ""));
    if (!scaler_) judgement_.info("no gradient scaler: right unless it trains in float16");
    if (optimizers_.empty())
      judgement_.warn("the optimizer's part holds no param_groups and state: nothing to resume");
  }

  void check(const OptimizerState& optimizer) {
    if (optimizer.strays || !optimizer.numbered)
      return judgement_.fail(ArtifactVerdict::incomplete,
                             "the optimizer's groups and states name different parameters");
    if (optimizer.states == 0 && optimizer.parameters > 0)
      judgement_.info("the optimizer holds no state: it was never stepped, or keeps none");
    else if (optimizer.states < optimizer.parameters)
      judgement_.info(std::to_string(optimizer.parameters - optimizer.states) + " of " +
                      std::to_string(optimizer.parameters) +
                      " parameters have no optimizer state (frozen or unused ones have none)");
    // Tied weights are saved under each of their names, so there are never fewer than parameters.
    if (weights_ && optimizer.parameters > shapes_.size())
      return judgement_.fail(ArtifactVerdict::incomplete,
                             "the optimizer steps " + std::to_string(optimizer.parameters) +
                                 " parameters, the weights beside it are only " +
                                 std::to_string(shapes_.size()));
    for (const Shape& shape : optimizer.moments) {
      if (!weights_ || shapes_.contains(shape)) continue;
      return judgement_.fail(ArtifactVerdict::incomplete,
                             "the optimizer holds a moment of shape " + show(shape) +
                                 ", and no weight beside it has that shape");
    }
  }

  void check_steps() {
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (const OptimizerState& optimizer : optimizers_) {
      for (const double step : optimizer.steps) {
        least = std::min(least, step);
        most = std::max(most, step);
      }
    }
    if (most < least) return;
    const auto text = [](double step) { return std::to_string(static_cast<std::int64_t>(step)); };
    if (!std::isfinite(least) || !std::isfinite(most) || least < 0 || most > 1e15)
      return judgement_.fail(ArtifactVerdict::corrupt,
                             "the optimizer's step is no number of steps");
    if (least != most)
      judgement_.warn("the optimizer's states are at different steps, " + text(least) + " to " +
                      text(most));
    if (global_step_ && most > static_cast<double>(*global_step_))
      judgement_.warn("the optimizer has taken " + text(most) + " steps, but global_step says " +
                      std::to_string(*global_step_) + ": they were not saved together");
  }

  const Pickle& pickle_;
  const TorchModel& model_;
  const ReadStorage& read_;
  Judgement& judgement_;
  std::multiset<Shape> shapes_ = {};  // of the weights
  std::set<PickleRef> walked_ = {};
  std::vector<OptimizerState> optimizers_ = {};
  std::size_t optimizers_seen_ = 0;
  std::optional<std::int64_t> global_step_ = {};
  bool weights_ = false, scheduler_ = false, scaler_ = false, rng_ = false, step_ = false;
  bool lightning_ = false;
};

}  // namespace

void judge_resume(const Pickle& pickle, const TorchModel& model, const ReadStorage& read,
                  FileFacts& facts, Judgement& judgement) {
  ResumeJudge judge(pickle, model, read, judgement);
  judge.judge();
  facts.optimizers = judge.facts();
}

}  // namespace rgt
