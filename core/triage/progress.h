// SPDX-License-Identifier: MIT
// Progress: finds the line in which a training says how far it is, and reads its numbers. The log
// is untrusted: a number is believed only as a number.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace rgt {

// The last such line among new log bytes, cleaned and at most 160 bytes: "epoch 3 step 120 loss
// 0.41", or a progress bar's last state. Empty if there is none. Looks at the last 64 KiB only.
std::string last_progress(std::string_view log_bytes);

// Whether one cleaned line reports progress: a step, epoch, bar or metric with its number.
bool is_progress_line(std::string_view clean_line);

// What the lines say, as far as they say it.
struct Progress {
  std::optional<std::int64_t> step = {};
  std::optional<std::int64_t> steps = {};  // the total beside the step, of the run or of its epoch
  std::optional<double> epoch = {};        // Hugging Face counts in fractions
  std::optional<std::int64_t> epochs = {};
  std::optional<double> loss = {};
  std::optional<double> rate = {};                // per second, in `rate_unit`
  std::string rate_unit = {};                     // "it", "tokens", "samples", "images"
  std::optional<std::int64_t> left_seconds = {};  // what a bar itself expects

  bool empty() const { return !step && !epoch && !loss && !rate; }
};

// A pattern of the user's own, for logs of other shapes: RE2 with named groups out of step, steps,
// epoch, epochs, loss, rate.
class ProgressPattern {
 public:
  // Code::invalid_argument says what is wrong with it.
  static Result<ProgressPattern> parse(std::string_view pattern);
  ProgressPattern(ProgressPattern&&) noexcept;
  ProgressPattern& operator=(ProgressPattern&&) noexcept;
  ~ProgressPattern();

  std::optional<Progress> match(std::string_view clean_line) const;

 private:
  struct Compiled;
  ProgressPattern();
  std::unique_ptr<Compiled> compiled_;
};

// One cleaned line: tqdm, Lightning and Keras bars, Hugging Face's dictionaries, "step 120/1000
// loss=0.4", "Epoch [3/10]", tokens per second.
Progress read_progress_line(std::string_view clean_line);

// The newest numbers of a log ending: the last progress line, completed from those before it (an
// epoch is often announced on a line of its own). With `given`, only lines that it matches count.
Progress read_progress(std::string_view log_bytes, const ProgressPattern* given = nullptr);

}  // namespace rgt
