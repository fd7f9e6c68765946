// SPDX-License-Identifier: MIT
// Metrics: JSON, JSON lines and CSV, parsed to the last byte. Python writes NaN and Infinity into
// JSON; they are counted, not taken for damage.
#include <algorithm>
#include <vector>

#include "core/artifact/csv_text.h"
#include "core/artifact/format.h"
#include "core/artifact/json_text.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kSizeMost = 64u << 20;  // bytes: larger text is a data set, not metrics
constexpr int kDepthMost = 64;

// Counts what it sees, builds nothing: bounded memory whatever the text holds.
class Counter : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::size_t values = 0;
  bool null() override { return one(); }
  bool boolean(bool) override { return one(); }
  bool number_integer(number_integer_t) override { return one(); }
  bool number_unsigned(number_unsigned_t) override { return one(); }
  bool number_float(number_float_t, const string_t&) override { return one(); }
  bool string(string_t&) override { return one(); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return ++depth_ <= kDepthMost; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ <= kDepthMost; }
  bool end_array() override { return --depth_ >= 0; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool one() {
    ++values;
    return true;
  }
  int depth_ = 0;
};

bool is_json(std::string_view text, std::size_t& values, std::size_t& specials) {
  Counter counter;
  if (!nlohmann::json::sax_parse(without_specials(text, specials), &counter)) return false;
  values += counter.values;
  return true;
}

Result<std::string> text_of(const FileBytes& file, Judgement& judgement) {
  if (file.size() > kSizeMost) {
    judgement.fail(ArtifactVerdict::unverified,
                   "larger than " + human_bytes(kSizeMost) + ": not read as metrics");
    return std::string();
  }
  auto text = file.read(0, static_cast<std::size_t>(file.size()));
  if (!text) return text;
  if (!is_valid_utf8(*text) || text->find('\0') != std::string::npos) {
    judgement.fail(ArtifactVerdict::corrupt, "it is not text (invalid UTF-8 or NUL bytes)");
  } else if (trim(*text).empty()) {
    judgement.fail(ArtifactVerdict::incomplete, "it holds no value");
  }
  return text;
}

void conclude(ArtifactReport& report, Judgement& judgement, std::size_t specials) {
  if (judgement.failed()) return;
  if (specials > 0) judgement.warn(std::to_string(specials) + " values are NaN or infinite");
  report.verdict = ArtifactVerdict::ok;
  judgement.reached(Depth::values);
}

}  // namespace

Result<void> read_json(const FileBytes& file, Depth, std::stop_token, ArtifactReport& report) {
  report.format = "json";
  report.reader = "json/1";
  Judgement judgement(report);
  const auto text = text_of(file, judgement);
  if (!text) return text.error();
  std::size_t values = 0, specials = 0;
  if (!judgement.failed() && !is_json(*text, values, specials))
    judgement.fail(ArtifactVerdict::corrupt, "it is no whole JSON text: cut or damaged");
  if (!judgement.failed() && values == 0)
    judgement.fail(ArtifactVerdict::incomplete, "it holds no value");
  conclude(report, judgement, specials);
  return {};
}

Result<void> read_json_lines(const FileBytes& file, Depth, std::stop_token stop,
                             ArtifactReport& report) {
  report.format = "jsonl";
  report.reader = "json/1";
  Judgement judgement(report);
  const auto text = text_of(file, judgement);
  if (!text) return text.error();
  std::size_t values = 0, specials = 0, line_number = 0;
  // Line by line: 64 MiB of line ends must not become as many views.
  for (std::size_t at = 0; !judgement.failed() && at < text->size();) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    const std::string_view line = std::string_view(*text).substr(at, end - at);
    at = end + 1;
    ++line_number;
    if (stop.stop_requested()) return Error{Code::cancelled, "stopped while reading", "call again"};
    if (trim(line).empty() || is_json(line, values, specials)) continue;
    judgement.fail(ArtifactVerdict::corrupt, "line " + std::to_string(line_number) +
                                                 " is no whole JSON text: cut or damaged");
    break;
  }
  conclude(report, judgement, specials);
  return {};
}

Result<void> read_csv(const FileBytes& file, Depth, std::stop_token, ArtifactReport& report) {
  report.format = "csv";
  report.reader = "csv/1";
  Judgement judgement(report);
  const auto text = text_of(file, judgement);
  if (!text) return text.error();
  const char separator = separator_of(*text);
  std::size_t at = 0, rows = 0, specials = 0, columns = 0;
  std::vector<std::string> fields;
  while (!judgement.failed() && at < text->size()) {
    const bool whole = read_record(*text, separator, at, fields);
    if (whole && fields.size() == 1 && fields[0].empty()) continue;  // an empty line
    ++rows;
    if (rows == 1) columns = fields.size();
    if (!whole)
      judgement.fail(ArtifactVerdict::corrupt,
                     "record " + std::to_string(rows) + " has a quote without end: cut or damaged");
    else if (fields.size() != columns) {
      judgement.fail(ArtifactVerdict::corrupt,
                     "record " + std::to_string(rows) + " has " + std::to_string(fields.size()) +
                         " fields, the header has " + std::to_string(columns));
    }
    for (const std::string& field : fields) {
      const std::string word = to_lower(trim(field));
      specials += word == "nan" || word == "inf" || word == "-inf" || word == "infinity" ||
                  word == "-infinity";
    }
  }
  if (!judgement.failed() && rows < 2)
    judgement.fail(ArtifactVerdict::incomplete, "it has a header and no record");
  conclude(report, judgement, specials);
  return {};
}

}  // namespace rgt
