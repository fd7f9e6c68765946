// SPDX-License-Identifier: MIT
#include "core/triage/progress.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "core/base/result.h"
#include "core/base/text.h"
#include "core/triage/log_lines.h"
#include "core/triage/person_pattern.h"

namespace rgt {
namespace {

// One line of a status; longer ones are cut by clean_line.
constexpr std::size_t kProgressBytes = 160;

// A progress line says where it is and is not a complaint. The shapes: tqdm and Lightning bars;
// Keras bars; HF Trainer's dictionaries; "epoch 3/10", "step: 120", "[Epoch 3]", "it=5"; a bare
// loss.
const RE2& progress_shape() {
  static const RE2 kShape(
      R"re((?i)\d{1,3}%\s?\|[^|]*\|)re"   // 45%|####    |
      R"re(|\|\s*\d+/\d+ \[\d+:\d+)re"    // | 120/266 [00:10<00:12
      R"re(|^\s*\d+/\d+ \[[=>.\s]*\])re"  // 120/266 [====>....]
      R"re(|^\s*\d+/\d+ \S*━)re"          // the newer Keras bar
      R"re(|\b(?:epoch|step|iter(?:ation)?|batch|it|global_step|update)s?\b)re"
      R"re(["']?\s*[:=#]?\s*[\[(]?\d)re"
      R"re(|\b(?:\w+[_/ ])?(?:loss|ppl|perplexity|nll)\b["']?\s*[:=]?\s*)re"
      R"re(["']?[-+]?(?:\d|nan\b|inf\b))re"
      R"re(|\d\s?(?:it/s|s/it|(?:tokens?|tok|samples?|examples|img|images)/s(?:ec)?)\b)re"
      R"re(|\b(?:tokens?|samples?|images?)/s(?:ec)?\s*[:=]?\s*\d)re",
      RE2::Quiet);
  require(kShape.ok(), "the pattern of progress lines does not parse");
  return kShape;
}

const RE2& complaint_shape() {
  static const RE2 kShape(
      R"re((?i)error|exception|traceback|failed|failure|abort|fatal|warning|killed)re"
      R"re(|terminat|cancel|assert|timed? ?out|retry|caught|skipp)re"
      R"re(|out of memory|resum(?:e|ing) from)re",
      RE2::Quiet);
  require(kShape.ok(), "the pattern of complaints does not parse");
  return kShape;
}

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

// ---- numbers

// A training has no more steps than that; larger numbers are hashes and times.
constexpr double kMostSteps = 1e12;

std::optional<double> number(const re2::StringPiece& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stopped != end || !std::isfinite(value)) return {};
  return value;
}

std::optional<std::int64_t> count(const re2::StringPiece& text) {
  const auto value = number(text);
  if (!value || *value < 0 || *value > kMostSteps) return {};
  return static_cast<std::int64_t>(*value);
}

// "1:02:03" or "02:03" as seconds.
std::optional<std::int64_t> clock_seconds(const re2::StringPiece& text) {
  std::int64_t seconds = 0;
  for (const std::string_view part : split(std::string_view(text.data(), text.size()), ':')) {
    const auto value = parse_uint(part);
    if (!value || *value > 100'000) return {};
    seconds = seconds * 60 + static_cast<std::int64_t>(*value);
  }
  return seconds;
}

struct Shapes {
  RE2 bar{R"re(\|\s*(\d+)/(\d+)\s*\[|^\s*(\d+)/(\d+)\s+(?:\[|\S*━))re", RE2::Quiet};
  RE2 bracket{R"re(\]:?\s*\[\s*(\d+)/(\d+)\])re", RE2::Quiet};
  RE2 step{R"re((?i)(?:^|[^\w])(?:global[_ ]?step|steps?|iter(?:ation)?s?|it|batch|update))re"
           R"re(["']?\s*[:=#]?\s*[\[(]?\s*(\d+)(?:\s*(?:/|of)\s*(\d+))?)re",
           RE2::Quiet};
  RE2 epoch{R"re((?i)(?:^|[^\w])epochs?["']?\s*[:=#]?\s*[\[(]?\s*(\d+(?:\.\d+)?))re"
            R"re((?:\s*(?:/|of)\s*(\d+))?)re",
            RE2::Quiet};
  RE2 loss{R"re((?i)(?:^|[^\w])(?:\w+[_/ ])?loss["']?\s*[:=]?\s*["']?)re"
           R"re(([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?))re",
           RE2::Quiet};
  RE2 rate{R"re((?i)(\d+(?:\.\d+)?)\s?(it|step|tok|token|sample|example|img|image)s?/s)re",
           RE2::Quiet};
  // "tokens/s: 31200"; the colon tells it from "0.41 tokens/s", whose number stands before.
  RE2 rate_named{R"re((?i)(it|step|tok|token|sample|example|img|image)s?)re"
                 R"re((?:/s(?:ec)?|_per_sec(?:ond)?)["']?\s*[:=]\s*(\d+(?:\.\d+)?))re",
                 RE2::Quiet};
  RE2 rate_after{R"re((?i)(it|step|tok|token|sample|example|img|image)s?/s(?:ec)?)re"
                 R"re(\s+(\d+(?:\.\d+)?))re",
                 RE2::Quiet};
  RE2 seconds_each{R"re((\d+(?:\.\d+)?)\s?s/(it|step)\b)re", RE2::Quiet};
  RE2 left{R"re(\[[\d:]+<([\d:]+)|\bETA:?\s*(\d+(?::\d+)+))re", RE2::Quiet};
};

const Shapes& shapes() {
  static const Shapes kShapes;
  return kShapes;
}

std::string unit_of(std::string word) {
  for (char& c : word) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (word == "it" || word == "step") return "it";
  if (word == "tok" || word == "token") return "tokens";
  if (word == "img" || word == "image") return "images";
  return "samples";
}

void read_rate(const re2::StringPiece& line, Progress& progress) {
  re2::StringPiece value, unit;
  const bool each = RE2::PartialMatch(line, shapes().seconds_each, &value, &unit);
  if (!each && !RE2::PartialMatch(line, shapes().rate_named, &unit, &value) &&
      !RE2::PartialMatch(line, shapes().rate, &value, &unit) &&
      !RE2::PartialMatch(line, shapes().rate_after, &unit, &value))
    return;
  const auto parsed = number(value);
  if (!parsed || (each && *parsed <= 0)) return;
  progress.rate = each ? 1.0 / *parsed : *parsed;
  progress.rate_unit = unit_of(unit.as_string());
}

// A total below the count is none: "step 120/64" is a date or a ratio.
void set_step(const re2::StringPiece& step, const re2::StringPiece& steps, Progress& progress) {
  progress.step = count(step);
  progress.steps = count(steps);
  if (progress.step && progress.steps && (*progress.steps < *progress.step || *progress.steps == 0))
    progress.steps.reset();
}

// What `older` knows that `newer` does not. A step of an earlier line belongs to an earlier epoch.
void complete(Progress& newer, const Progress& older) {
  if (!newer.step && !newer.epoch) {
    newer.step = older.step;
    newer.steps = older.steps;
  }
  if (!newer.epoch) {
    newer.epoch = older.epoch;
    newer.epochs = older.epochs;
  }
  if (!newer.loss) newer.loss = older.loss;
  if (!newer.rate) {
    newer.rate = older.rate;
    newer.rate_unit = older.rate_unit;
  }
  if (!newer.left_seconds && newer.step == older.step) newer.left_seconds = older.left_seconds;
}

}  // namespace

bool is_progress_line(std::string_view clean_line) {
  return RE2::PartialMatch(piece(clean_line), progress_shape()) &&
         !RE2::PartialMatch(piece(clean_line), complaint_shape());
}

Progress read_progress_line(std::string_view clean_line) {
  const re2::StringPiece line = piece(clean_line);
  Progress progress;
  re2::StringPiece a, b, c, d;
  if (RE2::PartialMatch(line, shapes().bar, &a, &b, &c, &d)) {
    set_step(a.empty() ? c : a, a.empty() ? d : b, progress);
  } else if (RE2::PartialMatch(line, shapes().bracket, &a, &b) ||
             RE2::PartialMatch(line, shapes().step, &a, &b)) {
    set_step(a, b, progress);
  }
  b = {};
  if (RE2::PartialMatch(line, shapes().epoch, &a, &b)) {
    progress.epoch = number(a);
    progress.epochs = count(b);
  }
  if (RE2::PartialMatch(line, shapes().loss, &a)) progress.loss = number(a);
  read_rate(line, progress);
  if (RE2::PartialMatch(line, shapes().left, &a, &b))
    progress.left_seconds = clock_seconds(a.empty() ? b : a);
  return progress;
}

struct ProgressPattern::Compiled {
  std::unique_ptr<RE2> expression = {};
  std::map<std::string, int> groups = {};  // name -> index
};

ProgressPattern::ProgressPattern() : compiled_(std::make_unique<Compiled>()) {}
ProgressPattern::ProgressPattern(ProgressPattern&&) noexcept = default;
ProgressPattern& ProgressPattern::operator=(ProgressPattern&&) noexcept = default;
ProgressPattern::~ProgressPattern() = default;

Result<ProgressPattern> ProgressPattern::parse(std::string_view pattern) {
  constexpr int kGroups = 12;
  const std::string hint =
      "write RE2 with named groups, for instance \"it (?P<step>\\d+) of (?P<steps>\\d+)\"";
  auto compiled = compile_person_pattern(pattern, "pattern", hint);
  if (!compiled) return compiled.error();
  ProgressPattern result;
  result.compiled_->expression = std::move(*compiled);
  const RE2& expression = *result.compiled_->expression;
  for (const auto& [name, index] : expression.NamedCapturingGroups()) {
    static const std::array kNames{"step", "steps", "epoch", "epochs", "loss", "rate"};
    if (std::find(kNames.begin(), kNames.end(), name) == kNames.end())
      return Error{Code::invalid_argument,
                   "pattern: no group is called " + clean_line(name, 60) +
                       "; they are step, steps, epoch, epochs, loss and rate",
                   hint};
    result.compiled_->groups[name] = index;
  }
  if (result.compiled_->groups.empty() || expression.NumberOfCapturingGroups() > kGroups)
    return Error{Code::invalid_argument, "pattern: expected 1 to 12 groups, and one with a name",
                 hint};
  return result;
}

std::optional<Progress> ProgressPattern::match(std::string_view clean_line) const {
  std::array<re2::StringPiece, 13> found;
  const int wanted = compiled_->expression->NumberOfCapturingGroups() + 1;
  if (!compiled_->expression->Match(piece(clean_line), 0, clean_line.size(), RE2::UNANCHORED,
                                    found.data(), wanted))
    return {};
  const auto group = [&](const char* name) {
    const auto at = compiled_->groups.find(name);
    return at == compiled_->groups.end() ? re2::StringPiece()
                                         : found.at(static_cast<std::size_t>(at->second));
  };
  Progress progress;
  set_step(group("step"), group("steps"), progress);
  progress.epoch = number(group("epoch"));
  progress.epochs = count(group("epochs"));
  progress.loss = number(group("loss"));
  progress.rate = number(group("rate"));
  if (progress.rate) progress.rate_unit = "it";
  if (progress.empty()) return {};
  return progress;
}

Progress read_progress(std::string_view log_bytes, const ProgressPattern* given) {
  // An epoch's line may stand before a bar that was redrawn so often; older lines are history.
  constexpr int kProgressLines = 400;
  constexpr std::size_t kLineBytes = 1000;
  Progress progress;
  LinesFromEnd lines(log_bytes);
  for (int seen = 0; seen < kProgressLines; ++seen) {
    const auto raw = lines.next();
    if (!raw) break;
    const std::string line = clean_line(*raw, kLineBytes);
    if (given != nullptr) {
      if (const auto found = given->match(line)) complete(progress, *found);
    } else if (is_progress_line(line)) {
      complete(progress, read_progress_line(line));
    }
    if (progress.step && progress.epoch && progress.loss && progress.rate) break;
  }
  return progress;
}

std::string last_progress(std::string_view log_bytes) {
  for (LinesFromEnd lines(log_bytes); const auto raw = lines.next();) {
    std::string line = clean_line(*raw, kProgressBytes);
    if (is_progress_line(line)) return line;
  }
  return {};
}

}  // namespace rgt
