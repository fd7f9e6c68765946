// SPDX-License-Identifier: MIT
// Progress: finds the line in which a training says how far it is.
#pragma once

#include <string>
#include <string_view>

namespace rgt {

// The last such line among new log bytes, cleaned and at most 160 bytes: "epoch 3 step 120 loss
// 0.41", or a progress bar's last state. Empty if there is none. Looks at the last 64 KiB only.
std::string last_progress(std::string_view log_bytes);

// Whether one cleaned line reports progress: a step, epoch, bar or metric with its number.
bool is_progress_line(std::string_view clean_line);

}  // namespace rgt
