// SPDX-License-Identifier: MIT
#include "core/box/platform_signs.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kMaxSigns = 8;  // shown to a person

constexpr std::array<std::string_view, 13> kOrder{
    "autodl",   "vastai",  "runpod", "paperspace", "kaggle", "colab",     "featurize",
    "gpushare", "matpool", "lanrui", "lambda",     "slurm",  "kubernetes"};

constexpr std::array<std::string_view, 4> kChina{"featurize", "gpushare", "matpool", "lanrui"};

struct Weight {
  int strong = 0, weak = 0;
};

Weight weigh(const std::vector<PlatformSign>& signs, std::string_view platform) {
  Weight weight;
  for (const PlatformSign& sign : signs) {
    if (sign.platform == platform) ++(sign.strong ? weight.strong : weight.weak);
  }
  return weight;
}

// A weak sign alone is no guess at all.
Sureness sureness_of(Weight weight) {
  if (weight.strong >= 2) return Sureness::confirmed;
  return weight.strong == 1 ? Sureness::probable : Sureness::none;
}

}  // namespace

PlatformGuess recognise_platform(const std::vector<PlatformSign>& signs) {
  PlatformGuess guess;
  for (const std::string_view platform : kOrder) {
    // One strong sign of a rental beats any number of its substrate's.
    const Sureness sureness = sureness_of(weigh(signs, platform));
    if (sureness == Sureness::none) continue;
    const bool substrate = platform == "kubernetes" || platform == "slurm";
    if (guess.sureness == Sureness::none || (sureness > guess.sureness && !substrate)) {
      guess = {std::string(platform), sureness, {}};
    }
  }
  for (const bool strong : {true, false}) {
    for (const PlatformSign& sign : signs) {
      const bool kept = sign.platform == guess.platform && sign.strong == strong;
      if (kept && guess.signs.size() < kMaxSigns) guess.signs.push_back(sign.sign);
    }
  }
  return guess;
}

bool profile_covers(std::string_view profile, std::string_view platform) {
  if (profile == platform) return true;
  const bool chinese = std::find(kChina.begin(), kChina.end(), platform) != kChina.end();
  if (chinese && profile.substr(0, 5) == "china") return true;
  return profile == "vast" && platform == "vastai";
}

}  // namespace rgt
