// SPDX-License-Identifier: MIT
// How far, how fast, how long: the numbers of a log line, and the pace that earlier looks add up
// to.
#include "core/triage/pace.h"

#include <catch2/catch.hpp>

#include "core/triage/progress.h"

namespace rgt {
namespace {

Mark at_step(double at, std::optional<double> total = {}) { return {"step", at, total}; }

TEST_CASE("the numbers of the usual progress lines are read") {
  const Progress bar = read_progress_line(
      "Epoch 3:  45%|####5     | 120/266 [00:10<01:12, 11.5it/s, v_num=3, "
      "train_loss=0.113]");
  CHECK(bar.step == 120);
  CHECK(bar.steps == 266);
  CHECK(bar.epoch == 3.0);
  CHECK_FALSE(bar.epochs.has_value());
  CHECK(bar.loss == Approx(0.113));
  CHECK(bar.rate == Approx(11.5));
  CHECK(bar.left_seconds == 72);

  const Progress slow = read_progress_line("  3%|3  | 30/1000 [02:00<1:04:40,  4.00s/it]");
  CHECK(slow.rate == Approx(0.25));
  CHECK(slow.left_seconds == 3880);

  const Progress trainer = read_progress_line(
      "{'loss': 0.4102, 'grad_norm': 1.2, 'learning_rate': 4.2e-05, 'epoch': 1.25}");
  CHECK(trainer.epoch == 1.25);
  CHECK(trainer.loss == Approx(0.4102));
  CHECK_FALSE(trainer.step.has_value());

  const Progress plain = read_progress_line("step 120/1000 loss=0.41 tokens/s: 31200");
  CHECK(plain.step == 120);
  CHECK(plain.steps == 1000);
  CHECK(plain.rate == Approx(31200));
  CHECK(plain.rate_unit == "tokens");

  const Progress brackets = read_progress_line("Epoch [3/10], Step [120/500], Loss: 0.4123");
  CHECK(brackets.epoch == 3.0);
  CHECK(brackets.epochs == 10);
  CHECK(brackets.step == 120);

  const Progress deit = read_progress_line("Epoch: [0] [1200/5004] lr: 0.0004 loss: 6.1021 (6.3)");
  CHECK(deit.epoch == 0.0);
  CHECK(deit.step == 1200);
  CHECK(deit.steps == 5004);

  const Progress keras = read_progress_line("120/266 [=====>........] - ETA: 1:02 - loss: 0.41");
  CHECK(keras.step == 120);
  CHECK(keras.left_seconds == 62);
}

TEST_CASE("numbers that are none, or too large for a training, are not believed") {
  const auto line = GENERATE("step 99999999999999999999999/3", "epoch inf loss nan", "step -4",
                             "max_steps 100", "steps", "");
  INFO(line);
  const Progress progress = read_progress_line(line);
  CHECK_FALSE(progress.step.has_value());
  CHECK_FALSE(progress.epoch.has_value());
}

TEST_CASE("an epoch that is announced on a line of its own completes the bar after it") {
  const Progress progress = read_progress(
      "Epoch 4/10\n\r 10%|#   | 12/120 [00:01<00:10, 10.0it/s]\r 20%|##  | 24/120 [00:02<00:09, "
      "10.0it/s]");
  CHECK(progress.step == 24);
  CHECK(progress.epoch == 4.0);
  const auto mark = mark_of(progress);
  REQUIRE(mark.has_value());
  CHECK(mark->unit == "epoch");
  CHECK(mark->at == Approx(3.2));
  CHECK(mark->total == 10.0);
}

TEST_CASE("the step of a finished epoch does not stand beside the next epoch's number") {
  const Progress progress = read_progress("100%|####| 120/120 [00:12<00:00]\nepoch 5/10 begins\n");
  CHECK(progress.epoch == 5.0);
  CHECK_FALSE(progress.step.has_value());
}

TEST_CASE("a pattern of the user's own reads logs of other shapes, and says when it is wrong") {
  const auto pattern =
      ProgressPattern::parse(R"(at (?P<step>\d+) of (?P<steps>\d+), cost (?P<loss>[\d.]+))");
  REQUIRE(pattern.ok());
  const Progress progress =
      read_progress("at 7 of 90, cost 1.5\nat 8 of 90, cost 1.25\nstep 99 loss 3\n", &*pattern);
  CHECK(progress.step == 8);
  CHECK(progress.steps == 90);
  CHECK(progress.loss == Approx(1.25));
  CHECK(ProgressPattern::parse("(?P<step>\\d+").error().message.find("missing )") !=
        std::string::npos);
  CHECK(ProgressPattern::parse("(?P<stepp>\\d+)").error().message.find("stepp") !=
        std::string::npos);
  CHECK_FALSE(ProgressPattern::parse("(\\d+)").ok());
  CHECK_FALSE(ProgressPattern::parse("(?P<step>((a{1000}){1000}){1000})").ok());
}

TEST_CASE("the rate comes from earlier looks, and the time left from rate and total") {
  Pace pace;
  pace.add(at_step(100, 1000), 1000);
  CHECK_FALSE(pace.left(at_step(100, 1000)).has_value());
  pace.add(at_step(200, 1000), 1100);
  CHECK(pace.rates().now == Approx(1.0));
  CHECK(pace.left(at_step(200, 1000)) == 800);
  CHECK_FALSE(pace.left(at_step(200)).has_value());
}

TEST_CASE("a drop of the rate shows against what went before") {
  Pace pace;
  for (int minute = 0; minute <= 10; ++minute) pace.add(at_step(minute * 120), minute * 60);
  for (int minute = 11; minute <= 14; ++minute) {
    pace.add(at_step(1200 + (minute - 10) * 30), minute * 60);
  }
  const PaceRates rates = pace.rates();
  REQUIRE(rates.now.has_value());
  REQUIRE(rates.before.has_value());
  CHECK(*rates.now == Approx(0.5));
  CHECK(*rates.before > 1.4);
}

TEST_CASE("a cell that was started again begins a new pace, and one that stands still keeps its") {
  Pace pace;
  pace.add(at_step(500), 100);
  pace.add(at_step(600), 200);
  pace.add(at_step(600), 300);
  CHECK(pace.points().size() == 2);
  pace.add(at_step(10), 400);
  CHECK(pace.points().size() == 1);
  CHECK_FALSE(pace.rates().now.has_value());
}

TEST_CASE("a pace survives the ledger, stays small over days, and forged text is an empty one") {
  Pace pace;
  for (int tick = 0; tick < 1000; ++tick) pace.add(at_step(tick * 10), tick * 1800);
  const std::string text = pace.text();
  CHECK(text.size() < 400);
  const Pace back = Pace::parse(text);
  REQUIRE(back.points().size() == pace.points().size());
  CHECK(back.points().front().time == 0);
  CHECK(back.points().back().at == Approx(9990));
  CHECK(back.rates().now == Approx(10.0 / 1800));
  for (const char* forged :
       {"", "step", "step x", "step 1:2 1:3", "step 5:9 6:1", "step 1:inf", "step 1:2 3"}) {
    INFO(forged);
    CHECK(Pace::parse(forged).points().empty());
  }
}

}  // namespace
}  // namespace rgt
