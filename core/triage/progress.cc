// SPDX-License-Identifier: MIT
#include "core/triage/progress.h"

#include <re2/re2.h>

#include "core/base/result.h"
#include "core/base/text.h"
#include "core/triage/log_lines.h"

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

}  // namespace

bool is_progress_line(std::string_view clean_line) {
  return RE2::PartialMatch(piece(clean_line), progress_shape()) &&
         !RE2::PartialMatch(piece(clean_line), complaint_shape());
}

std::string last_progress(std::string_view log_bytes) {
  if (log_bytes.size() > kTriageBytes) log_bytes.remove_prefix(log_bytes.size() - kTriageBytes);
  while (!log_bytes.empty()) {
    const std::size_t end = log_bytes.find_last_of("\r\n");
    const std::size_t start = end == std::string_view::npos ? 0 : end + 1;
    const std::string line = clean_line(log_bytes.substr(start), kProgressBytes);
    if (is_progress_line(line)) return line;
    log_bytes = log_bytes.substr(0, start == 0 ? 0 : end);
  }
  return {};
}

}  // namespace rgt
