// SPDX-License-Identifier: MIT
// What a metrics file says at its best: for a table across the cells of a run. Foreign bytes:
// bounded, fuzzed; a file that is none of this is simply without metrics.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rgt {

enum class Better { lower, higher, unknown };
std::string_view better_name(Better better);

// By the words of its name: loss, ppl, error, wer, mae, ... lower; acc, f1, auc, bleu, ... higher.
Better better_of(std::string_view metric);

struct BestValue {
  std::string metric = {};  // clean
  Better better = Better::unknown;
  int rank = 0;     // lower: more likely what the run is judged by (evaluation before training)
  double best = 0;  // the last one where `better` is unknown
  double last = 0;
  std::string at = {};  // "epoch 3", "step 1200", "row 5"; where the best one stands
};

enum class MetricsForm { json, json_lines, csv };

// Each numeric column, the most telling first; at most 100. Values that are no finite number are
// passed over.
std::vector<BestValue> best_values(std::string_view text, MetricsForm form);
// By the reader's name for the format; empty for other formats and files above 16 MiB.
std::vector<BestValue> best_values_of(const std::filesystem::path& file, std::string_view format);

struct CellMetrics {
  std::string cell = {};
  std::string file = {};
  std::vector<BestValue> values = {};
};
struct TableRow {
  std::string cell = {};
  std::string file = {};
  BestValue value = {};
  bool main = false;  // it is the metric that the cells are compared by
};
// One row per cell that has a metric: first those of the one that most cells share, best first;
// then the others. What has no known direction comes last, in the cells' order.
std::vector<TableRow> metrics_table(const std::vector<CellMetrics>& cells);

}  // namespace rgt
