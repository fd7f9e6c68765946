// SPDX-License-Identifier: MIT
#include "core/artifact/metrics_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "core/artifact/csv_text.h"
#include "core/artifact/json_text.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using Row = std::vector<std::pair<std::string, double>>;

constexpr std::uint64_t kTextMost = 16u << 20;  // bytes: a value per step of a million steps
constexpr int kDepthMost = 16;
constexpr std::size_t kColumnsMost = 100;
constexpr std::size_t kNameMost = 80;  // bytes of a metric's name in a report

constexpr std::array<std::string_view, 24> kLowerWords{
    "loss", "losses", "ppl",  "perplexity", "error", "errors", "err", "wer",
    "cer",  "mae",    "mse",  "rmse",       "fid",   "nll",    "bpb", "bpc",
    "kl",   "eer",    "mape", "smape",      "lpips", "ter",    "kid", "distance"};
constexpr std::array<std::string_view, 31> kHigherWords{
    "acc",    "accuracy", "top1", "top5",   "f1",    "auc",    "auroc",  "auprc",
    "bleu",   "chrf",     "map",  "map50",  "iou",   "miou",   "score",  "precision",
    "recall", "dice",     "psnr", "ssim",   "rouge", "rouge1", "rouge2", "rougel",
    "reward", "r2",       "em",   "meteor", "ndcg",  "mrr",    "mcc"};
constexpr std::array<std::string_view, 8> kEvaluationWords{"eval", "val", "valid",   "validation",
                                                           "test", "dev", "holdout", "heldout"};
// What tells where a row stands, in the order of what people ask for.
constexpr std::array<std::string_view, 9> kPlaces{
    "epoch", "epochs", "step", "global_step", "steps", "iteration", "iter", "round", "batch"};
// Numbers that judge nothing.
constexpr std::array<std::string_view, 27> kNoMetric{
    "lr",      "learning", "time",    "runtime", "seconds",   "second",    "samples",
    "flos",    "flops",    "grad",    "norm",    "seed",      "memory",    "mem",
    "elapsed", "eta",      "tokens",  "batch",   "size",      "num",       "count",
    "version", "rank",     "seconds", "date",    "timestamp", "throughput"};

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_word_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// "eval/mAP_50" -> eval map 50, and "valLoss" -> val loss.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool upper = c >= 'A' && c <= 'Z';
    const bool letter = is_word_letter(c);
    const bool after_lower = i > 0 && name[i - 1] >= 'a' && name[i - 1] <= 'z';
    // "mAP" and "mIoU" are one word.
    const bool goes_on = i + 1 < name.size() && is_word_letter(name[i + 1]);
    const bool begins = upper && after_lower && goes_on && words.back().size() > 1;
    if ((!letter || begins) && !words.back().empty()) words.emplace_back();
    if (letter) words.back() += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

template <std::size_t N>
bool any_word(const std::vector<std::string>& words, const std::array<std::string_view, N>& known) {
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& word) { return is_one_of(known, word); });
}

bool is_place(std::string_view name) { return is_one_of(kPlaces, to_lower(name)); }

int rank_of(std::string_view name, Better better) {
  const std::vector<std::string> words = words_of(name);
  int rank = any_word(words, kEvaluationWords) ? 0 : 4;
  if (better == Better::unknown) rank += 10;
  // What is trained for says less than what it was trained for.
  if (std::find(words.begin(), words.end(), "loss") != words.end()) rank += 2;
  return rank;
}

std::string number_text(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15)
    return std::to_string(static_cast<std::int64_t>(value));
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

// Row by row, what is best in each column.
class Columns {
 public:
  void add(const Row& row) {
    ++rows_;
    std::string at = "row " + std::to_string(rows_);
    std::size_t best_place = kPlaces.size();
    for (const auto& [name, value] : row) {
      const auto place = static_cast<std::size_t>(
          std::find(kPlaces.begin(), kPlaces.end(), to_lower(name)) - kPlaces.begin());
      if (place >= best_place) continue;
      best_place = place;
      at = clean_line(name, kNameMost) + " " + number_text(value);
    }
    for (const auto& [name, value] : row)
      if (!is_place(name) && std::isfinite(value)) add_value(name, value, at);
  }
  std::vector<BestValue> finish() {
    std::stable_sort(values_.begin(), values_.end(),
                     [](const BestValue& a, const BestValue& b) { return a.rank < b.rank; });
    return std::move(values_);
  }

 private:
  void add_value(const std::string& name, double value, const std::string& at) {
    const auto known = index_.find(name);
    if (known == index_.end()) {
      if (values_.size() == kColumnsMost) return;
      const Better better = better_of(name);
      if (better == Better::unknown && any_word(words_of(name), kNoMetric)) return;
      index_[name] = values_.size();
      values_.push_back(
          {clean_line(name, kNameMost), better, rank_of(name, better), value, value, at});
      return;
    }
    BestValue& column = values_[known->second];
    column.last = value;
    const bool better = column.better == Better::lower    ? value < column.best
                        : column.better == Better::higher ? value > column.best
                                                          : true;
    if (!better) return;
    column.best = value;
    column.at = at;
  }

  std::size_t rows_ = 0;
  std::vector<BestValue> values_ = {};
  std::map<std::string, std::size_t> index_ = {};
};

void flatten(const Json& object, const std::string& before, int depth, Row& row) {
  for (const auto& [key, value] : object.items()) {
    if (row.size() > 4 * kColumnsMost) return;
    if (value.is_number()) row.emplace_back(before + key, value.get<double>());
    if (value.is_object() && depth < 4) flatten(value, before + key + "/", depth + 1, row);
  }
}

// {"loss": [3, 2, 1], "val_loss": [...]}: one row per index.
void add_history(const Json& object, Columns& columns) {
  std::vector<std::pair<std::string, const Json*>> series;
  std::size_t length = 0;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_array() || value.empty() || !value[0].is_number()) continue;
    if (series.size() == kColumnsMost) break;
    series.emplace_back(key, &value);
    length = std::max(length, value.size());
  }
  for (std::size_t i = 0; i < length; ++i) {
    Row row;
    for (const auto& [key, values] : series) {
      if (i < values->size() && (*values)[i].is_number())
        row.emplace_back(key, (*values)[i].get<double>());
    }
    if (!row.empty()) columns.add(row);
  }
}

void add_json(const Json& json, Columns& columns) {
  if (json.is_array()) {
    for (const Json& element : json) {
      if (!element.is_object()) continue;
      Row row;
      flatten(element, "", 0, row);
      if (!row.empty()) columns.add(row);
    }
    return;
  }
  if (!json.is_object()) return;
  for (const auto& [key, value] : json.items()) {
    // The log_history of a trainer's state, and the like.
    if (value.is_array() && !value.empty() && value[0].is_object()) add_json(value, columns);
  }
  add_history(json, columns);
  Row row;
  flatten(json, "", 0, row);
  if (!row.empty()) columns.add(row);
}

Json parse_bounded(std::string_view text) {
  std::size_t specials = 0;
  if (nests_deeper(text, kDepthMost)) return {};
  Json json = Json::parse(without_specials(text, specials), nullptr, false);
  return json.is_discarded() ? Json() : json;
}

void add_csv(std::string_view text, Columns& columns) {
  const char separator = separator_of(text);
  std::size_t at = 0;
  std::vector<std::string> header;
  if (!read_record(text, separator, at, header)) return;
  std::vector<std::string> fields;
  while (at < text.size() && read_record(text, separator, at, fields)) {
    Row row;
    for (std::size_t i = 0; i < std::min(fields.size(), header.size()) && i < 4 * kColumnsMost;
         ++i) {
      if (const auto value = parse_double(trim(fields[i])))
        row.emplace_back(std::string(trim(header[i])), *value);
    }
    if (!row.empty()) columns.add(row);
  }
}

}  // namespace

std::string_view better_name(Better better) {
  switch (better) {
    case Better::lower: return "lower";
    case Better::higher: return "higher";
    case Better::unknown: break;
  }
  return "unknown";
}

Better better_of(std::string_view metric) {
  const std::vector<std::string> words = words_of(metric);
  if (any_word(words, kLowerWords)) return Better::lower;
  if (any_word(words, kHigherWords)) return Better::higher;
  return Better::unknown;
}

std::vector<BestValue> best_values(std::string_view text, MetricsForm form) {
  Columns columns;
  if (text.size() > kTextMost) return {};
  if (form == MetricsForm::csv) add_csv(text, columns);
  if (form == MetricsForm::json) add_json(parse_bounded(text), columns);
  if (form == MetricsForm::json_lines) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const Json json = parse_bounded(text.substr(at, end - at));
      at = end + 1;
      if (!json.is_object()) continue;
      Row row;
      flatten(json, "", 0, row);
      if (!row.empty()) columns.add(row);
    }
  }
  return columns.finish();
}

std::vector<BestValue> best_values_of(const std::filesystem::path& file, std::string_view format) {
  if (format != "json" && format != "jsonl" && format != "csv") return {};
  const auto text = read_file(file, kTextMost);
  if (!text) return {};
  return best_values(*text, format == "csv"     ? MetricsForm::csv
                            : format == "jsonl" ? MetricsForm::json_lines
                                                : MetricsForm::json);
}

namespace {

// The name that most cells share; of several, the most telling one.
std::string main_metric(const std::vector<CellMetrics>& cells) {
  struct Vote {
    std::set<std::string> cells = {};
    int rank = 0;
  };
  std::map<std::string, Vote> votes;
  for (const CellMetrics& cell : cells) {
    for (const BestValue& value : cell.values) {
      Vote& vote = votes[value.metric];
      vote.cells.insert(cell.cell);
      vote.rank = value.rank;
    }
  }
  std::string best;
  std::pair<bool, std::pair<std::size_t, int>> best_weight{};
  for (const auto& [metric, vote] : votes) {
    const std::pair<bool, std::pair<std::size_t, int>> weight{better_of(metric) != Better::unknown,
                                                              {vote.cells.size(), -vote.rank}};
    if (best.empty() || weight > best_weight) {
      best = metric;
      best_weight = weight;
    }
  }
  return best;
}

bool is_better(const BestValue& a, const BestValue& b) {
  return a.better == Better::higher ? a.best > b.best : a.best < b.best;
}

}  // namespace

std::vector<TableRow> metrics_table(const std::vector<CellMetrics>& cells) {
  const std::string main = main_metric(cells);
  std::vector<TableRow> rows;
  for (const CellMetrics& cell : cells) {
    for (const BestValue& value : cell.values) {
      const bool is_main = value.metric == main;
      const auto known = std::find_if(rows.begin(), rows.end(),
                                      [&](const TableRow& row) { return row.cell == cell.cell; });
      const TableRow row{cell.cell, cell.file, value, is_main};
      if (known == rows.end()) {
        rows.push_back(row);
        continue;
      }
      // Of several files of a cell, or several columns, the one the others are compared by.
      const bool same = known->main == is_main;
      if ((is_main && !known->main) || (same && is_main && is_better(value, known->value)) ||
          (same && !is_main && value.rank < known->value.rank))
        *known = row;
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const TableRow& a, const TableRow& b) {
    const auto group = [](const TableRow& row) {
      return row.value.better == Better::unknown ? 2 : row.main ? 0 : 1;
    };
    if (group(a) != group(b)) return group(a) < group(b);
    return group(a) == 0 && is_better(a.value, b.value);
  });
  return rows;
}

}  // namespace rgt
