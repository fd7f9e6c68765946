// SPDX-License-Identifier: MIT
#include "core/triage/log_lines.h"

#include <re2/re2.h>

#include <map>
#include <optional>

#include "core/base/text.h"
#include "core/triage/progress.h"

namespace rgt {
namespace {

// A line longer than this is seen as its two ends: messages open with the error or close with it.
constexpr std::size_t kLineBytes = 4096;
constexpr std::size_t kLineEndBytes = 2048;

constexpr std::string_view kTracebackHead = "Traceback (most recent call last)";

bool is_chain_link(std::string_view text) {
  return text.find("The above exception was the direct cause") != std::string_view::npos ||
         text.find("During handling of the above exception") != std::string_view::npos;
}

// "[rank0]: ", "3: " (srun -l), "(Worker pid=12) ", "  | " (exception groups): several processes
// write one log, each with its own open traceback.
std::string_view writer_of(std::string_view line) {
  static const RE2 kWriter(
      R"(^(\[(?:rank|default)?\d+\]:? ?|\d{1,4}: |\([A-Za-z_]\w* pid=\d+[^)]*\) ?|\s*[|] ))",
      RE2::Quiet);
  re2::StringPiece writer;
  if (!RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), kWriter, &writer)) return {};
  return {writer.data(), writer.size()};
}

// "2026-11-24T09:13:05.055Z ": what a container runtime puts before every line, also before the
// frames of a traceback, whose indentation must stay readable.
std::string_view without_timestamp(std::string_view line) {
  static const RE2 kTimestamp(
      R"re(^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)? )re"
      R"re((?:std(?:out|err) F )?))re",
      RE2::Quiet);
  re2::StringPiece stamp;
  if (!RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), kTimestamp, &stamp))
    return line;
  return line.substr(stamp.size());
}

// "KeyError: 'x'", "socket.timeout: timed out", "KeyboardInterrupt"; neither "wandb: ..." nor
// "ERROR: ...", which other writers put between the lines of a traceback.
bool is_exception_text(std::string_view text) {
  static const RE2 kException(R"(^(?:(?:[A-Za-z_]\w*\.)+\w+|[A-Z]\w*[a-z]\w*)(?::|$))", RE2::Quiet);
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), kException);
}

std::string bounded_clean(std::string_view raw) {
  if (raw.size() <= kLineBytes) return clean_line(raw, kLineBytes);
  return clean_line(raw.substr(0, kLineEndBytes), kLineEndBytes) + " [...] " +
         clean_line(raw.substr(raw.size() - kLineEndBytes), kLineEndBytes);
}

// Splits at '\n' and '\r', except where a carriage return became part of a word that a shell then
// complains about ("foo\r: command not found"): it is shown as ^M, so that the cause stays visible.
std::vector<std::string> split_lines(std::string_view raw) {
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char c = raw[i];
    if (c == '\r' && (raw.substr(i + 1, 2) == ": " || raw.substr(i + 1, 1) == "'")) {
      line += "^M";
    } else if (c == '\n' || c == '\r') {
      lines.push_back(std::move(line));
      line.clear();
    } else {
      line += c;
    }
  }
  lines.push_back(std::move(line));
  return lines;
}

// Follows the open tracebacks, one per writer, and names each line's shape.
class Tracebacks {
 public:
  LogLine read(std::string_view stamped) {
    LogLine line;
    const std::string_view raw = without_timestamp(stamped);
    const std::string_view writer = writer_of(raw);
    const std::string_view rest = raw.substr(writer.size());
    line.text = bounded_clean(rest);
    if (line.text.empty()) return line;
    State& state = states_[std::string(trim(writer))];
    if (rest.find(kTracebackHead) != std::string_view::npos) {
      if (!state.linked) state.chain = ++chains_;
      state.open = true;
      state.linked = false;
      line.shape = LogLine::Shape::frame;
    } else if (state.open && (rest.front() == ' ' || rest.front() == '\t')) {
      line.shape = LogLine::Shape::frame;
    } else if (state.open && is_exception_text(line.text)) {
      state.open = false;
      line.shape = LogLine::Shape::exception;
      line.chain = state.chain;
    } else if (is_chain_link(rest)) {
      state.linked = true;
      line.shape = LogLine::Shape::frame;
    }
    return line;
  }

 private:
  struct State {
    bool open = false;    // a head was seen, its exception not yet
    bool linked = false;  // the next traceback was raised from the last one
    int chain = 0;
  };
  std::map<std::string, State> states_;
  int chains_ = 0;
};

}  // namespace

std::vector<LogLine> read_log_lines(std::string_view raw) {
  if (raw.size() > kTriageBytes) raw.remove_prefix(raw.size() - kTriageBytes);
  std::vector<LogLine> lines;
  Tracebacks tracebacks;
  std::size_t progress = 0;  // index of the last line of progress
  for (const std::string& part : split_lines(raw)) {
    LogLine line = tracebacks.read(part);
    if (line.text.empty()) continue;
    line.progress = line.shape == LogLine::Shape::plain && is_progress_line(line.text);
    if (line.progress) progress = lines.size();
    lines.push_back(std::move(line));
  }
  for (std::size_t i = 0; i < progress; ++i) lines[i].survived = true;
  return lines;
}

std::optional<std::string_view> LinesFromEnd::next() {
  if (rest_.empty()) return {};
  const std::size_t end = rest_.find_last_of("\r\n");
  const std::string_view line = rest_.substr(end == std::string_view::npos ? 0 : end + 1);
  rest_ = rest_.substr(0, end == std::string_view::npos ? 0 : end);
  return line;
}

}  // namespace rgt
