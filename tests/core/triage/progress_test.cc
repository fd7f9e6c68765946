// SPDX-License-Identifier: MIT
#include "core/triage/progress.h"

#include <catch2/catch.hpp>

namespace rgt {
namespace {

TEST_CASE("progress is read from the shapes that trainers print") {
  const auto [line, what] = GENERATE(table<std::string, std::string>({
      {"epoch 3 step 120 loss 0.41", "plain words"},
      {"Epoch [3/10], Step [120/500], Loss: 0.4123", "brackets"},
      {"Epoch: [0] [1200/5004] lr: 0.000400 loss: 6.1021", "DeiT"},
      {"{'loss': 0.41, 'learning_rate': 2e-05, 'epoch': 0.31}", "HF Trainer"},
      {" 45%|####5     | 120/266 [00:10<00:12, 11.5it/s]", "tqdm"},
      {"Epoch 2: 100%|##########| 938/938 [00:11<00:00, 83.1it/s, v_num=3, train_loss=0.11]",
       "Lightning"},
      {"120/266 [=====>........] - ETA: 1:02 - loss: 0.41", "Keras 2"},
      {"iter 2000: loss 3.1021, time 210.11ms, mfu 41.2%", "nanoGPT"},
      {"step: 4000 | tokens/s 31200", "bars"},
      {"throughput 412.7 samples/s", "throughput"},
  }));
  INFO(what);
  CHECK(is_progress_line(line));
  CHECK_FALSE(last_progress(line + "\n").empty());
}

TEST_CASE("a complaint that names a step is no progress") {
  const auto line = GENERATE("RuntimeError: NaN at step 120", "retrying, attempt 3 of 5", "Killed",
                             "skipped batch 4", "WARNING: loss 3.0 is high", "hello", "",
                             "Traceback (most recent call last):", "max_steps: 1000");
  INFO(line);
  CHECK_FALSE(is_progress_line(line));
}

TEST_CASE("of a bar that was redrawn a thousand times the last state is shown") {
  std::string log = "loading\n";
  for (int i = 0; i <= 1000; ++i) {
    log += "\r " + std::to_string(i / 10) + "%|###   | " + std::to_string(i) +
           "/1000 [00:10<00:12, 11.5it/s]";
  }
  CHECK(last_progress(log) == "100%|### | 1000/1000 [00:10<00:12, 11.5it/s]");
}

TEST_CASE("the last progress is found behind chatter, and nothing is made up where there is none") {
  CHECK(last_progress("step 1 loss 2\nstep 2 loss 1\nsaving to disk\n\n") == "step 2 loss 1");
  CHECK(last_progress("hello\nworld\n").empty());
  CHECK(last_progress("").empty());
}

}  // namespace
}  // namespace rgt
