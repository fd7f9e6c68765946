// SPDX-License-Identifier: MIT
// Any bytes as metrics: bounded, clean names, and a table of them that keeps every cell.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/artifact/metrics_table.h"
#include "core/base/result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<rgt::CellMetrics> cells;
  for (const auto form :
       {rgt::MetricsForm::json, rgt::MetricsForm::json_lines, rgt::MetricsForm::csv}) {
    auto values = rgt::best_values(text, form);
    rgt::require(values.size() <= 100, "too many columns");
    for (const rgt::BestValue& value : values)
      rgt::require(std::isfinite(value.best) && value.metric.size() <= 80, "not bounded");
    if (!values.empty())
      cells.push_back({"c" + std::to_string(cells.size()), "f", std::move(values)});
  }
  rgt::require(rgt::metrics_table(cells).size() == cells.size(), "a cell is lost");
  return 0;
}
