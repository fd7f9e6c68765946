// SPDX-License-Identifier: MIT
#include "core/artifact/metrics_table.h"

#include <catch2/catch.hpp>

namespace rgt {
namespace {

BestValue main_of(const std::string& text, MetricsForm form) {
  const auto values = best_values(text, form);
  REQUIRE_FALSE(values.empty());
  return values[0];
}

}  // namespace

TEST_CASE("Which way is better is told by a metric's name, and unknown if the name does not tell") {
  for (const char* name : {"loss", "eval_loss", "valLoss", "train/loss", "perplexity", "ppl", "wer",
                           "test_MAE", "rmse", "FID", "error_rate", "loss_ce"}) {
    INFO(name);
    CHECK(better_of(name) == Better::lower);
  }
  for (const char* name : {"acc", "eval_accuracy", "top1", "f1", "macro_f1", "AUC", "bleu", "mAP",
                           "mAP50", "mIoU", "val/score", "rougeL"}) {
    INFO(name);
    CHECK(better_of(name) == Better::higher);
  }
  for (const char* name : {"glossary", "accept_rate", "temperature", "x", ""}) {
    INFO(name);
    CHECK(better_of(name) == Better::unknown);
  }
}

TEST_CASE("The best value of the most telling metric is found in every usual form") {
  const BestValue lines = main_of(
      "{\"epoch\": 1, \"train_loss\": 3, \"val_acc\": 0.5}\n"
      "{\"epoch\": 2, \"train_loss\": 2, \"val_acc\": 0.75}\n\n"
      "{\"epoch\": 3, \"train_loss\": 1, \"val_acc\": NaN}\n"
      "{\"epoch\": 4, \"train_loss\": 0.5, \"val_acc\": 0.7}\n",
      MetricsForm::json_lines);
  CHECK(lines.metric == "val_acc");
  CHECK(lines.best == 0.75);
  CHECK(lines.at == "epoch 2");
  CHECK(lines.last == 0.7);

  const BestValue trainer = main_of(
      "{\"best_metric\": 1, \"log_history\": [{\"step\": 10, \"loss\": 2.5, \"learning_rate\": 1},"
      "{\"step\": 10, \"eval_loss\": 2.25}, {\"step\": 20, \"eval_loss\": 2.0},"
      "{\"step\": 30, \"eval_loss\": 2.125}], \"global_step\": 30}",
      MetricsForm::json);
  CHECK(trainer.metric == "eval_loss");
  CHECK(trainer.best == 2.0);
  CHECK(trainer.at == "step 20");

  const BestValue history =
      main_of("{\"loss\": [3, 2, 1], \"val_loss\": [2, 1.5, 1.75]}", MetricsForm::json);
  CHECK(history.metric == "val_loss");
  CHECK(history.best == 1.5);
  CHECK(history.at == "row 2");

  const BestValue table =
      main_of("epoch,lr,\"val wer\"\n1,0.1,30\n2,0.1,\"20\"\n3,0.1,25\n", MetricsForm::csv);
  CHECK(table.metric == "val wer");
  CHECK(table.best == 20);
  CHECK(table.at == "epoch 2");

  const BestValue nested = main_of("{\"eval\": {\"f1\": 0.5}, \"lr\": 1}", MetricsForm::json);
  CHECK(nested.metric == "eval/f1");
  CHECK(best_values("not json", MetricsForm::json).empty());
  CHECK(best_values("{\"epoch\": 3, \"note\": \"x\"}", MetricsForm::json).empty());
  CHECK(best_values(std::string(100000, '['), MetricsForm::json).empty());
}

TEST_CASE("Cells are compared by the metric that they share, the best first, the unknown last") {
  const auto cell = [](const std::string& name, const std::string& text) {
    return CellMetrics{name, "m.json", best_values(text, MetricsForm::json)};
  };
  const auto table = metrics_table(
      {cell("strange", "{\"temperature\": 7}"), cell("low", "{\"val_acc\": 0.5, \"loss\": 1}"),
       cell("other", "{\"loss\": 0.25}"), cell("high", "{\"val_acc\": 0.75, \"loss\": 2}"),
       cell("middle", "{\"val_acc\": 0.625}"), cell("none", "{}")});
  REQUIRE(table.size() == 5);
  CHECK(table[0].cell == "high");
  CHECK(table[1].cell == "middle");
  CHECK(table[2].cell == "low");
  CHECK(table[2].value.metric == "val_acc");
  CHECK(table[3].cell == "other");
  CHECK_FALSE(table[3].main);
  CHECK(table[4].cell == "strange");
  CHECK(table[4].value.better == Better::unknown);
  CHECK(metrics_table({}).empty());
}

}  // namespace rgt
