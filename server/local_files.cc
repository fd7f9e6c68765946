// SPDX-License-Identifier: MIT
#include "server/local_files.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "core/artifact/bundle.h"
#include "core/artifact/reader.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/triage/labelled.h"
#include "core/triage/triage.h"
#include "server/print.h"
#include "server/signals.h"

namespace rgt {
namespace {

constexpr std::streamoff kTailBytes = 65536;         // what triage looks at: how a log ends
constexpr std::uint64_t kLabelledBytes = 16u << 20;  // bytes: thousands of endings

Json report_json(const ArtifactReport& report) {
  Json findings = Json::array();
  for (const Finding& finding : report.findings) findings.push_back(finding.what);
  return {{"path", report.path},
          {"format", report.format},
          {"reader", report.reader},
          {"verdict", artifact_verdict_name(report.verdict)},
          {"depth", depth_name(report.depth)},
          {"size", report.size},
          {"sha256", report.sha256},
          {"tensors", report.tensors},
          {"parameters", report.parameters},
          {"findings", std::move(findings)}};
}

void print_report(const ArtifactReport& report) {
  std::cout << artifact_verdict_name(report.verdict) << "  " << clean_line(report.path, 300) << "  "
            << report.format << ", checked to " << depth_name(report.depth) << ", "
            << human_bytes(report.size);
  if (report.tensors > 0) std::cout << ", " << report.tensors << " tensors";
  std::cout << "\n";
  for (const Finding& finding : report.findings) std::cout << "    " << finding.what << "\n";
}

// "KILL", "SIGKILL" or "9".
std::optional<int> parse_signal(const std::string& text) {
  if (const auto number = parse_uint(text); number && *number > 0 && *number < 65)
    return static_cast<int>(*number);
  std::string name = text;
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int number = 1; number < 32; ++number) {
    const char* known = sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  return std::nullopt;
}

Result<std::string> read_tail(const std::string& file) {
  if (file == "-") {
    std::string text((std::istreambuf_iterator<char>(std::cin)), {});
    if (text.size() > kTailBytes) text.erase(0, text.size() - kTailBytes);
    return text;
  }
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream)
    return Error{Code::not_found,
                 "cannot read " + clean_line(file, 200) + ": " + std::strerror(errno),
                 "name a log file"};
  const std::streamoff size = stream.tellg();
  stream.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  std::string text((std::istreambuf_iterator<char>(stream)), {});
  if (stream.bad() || size < 0)
    return Error{Code::io, "cannot read " + clean_line(file, 200), "name a log file"};
  return text;
}

Json diagnosis_json(const Diagnosis& diagnosis) {
  Json candidates = Json::array();
  Json evidence = Json::array();
  Json references = Json::array();
  for (const Candidate& candidate : diagnosis.candidates) {
    candidates.push_back({{"failure_class", failure_class_name(candidate.failure)},
                          {"remediation", remediation_name(candidate.remediation)},
                          {"reason", candidate.reason},
                          {"score", candidate.score},
                          {"evidence", candidate.evidence},
                          {"references", candidate.references}});
  }
  if (!diagnosis.candidates.empty()) {
    evidence = diagnosis.candidates[0].evidence;
    references = diagnosis.candidates[0].references;
  }
  return {{"failure_class", failure_class_name(diagnosis.failure)},
          {"remediation", remediation_name(diagnosis.remediation)},
          {"candidates", std::move(candidates)},
          {"evidence", std::move(evidence)},
          {"references", std::move(references)},
          {"tail", diagnosis.tail}};
}

void print_diagnosis(const Diagnosis& diagnosis) {
  std::cout << failure_class_name(diagnosis.failure) << " -> "
            << remediation_name(diagnosis.remediation) << "\n";
  for (const Candidate& candidate : diagnosis.candidates) {
    std::cout << "  " << failure_class_name(candidate.failure) << ": " << candidate.reason;
    if (!candidate.references.empty()) std::cout << " [" << join(candidate.references, ", ") << "]";
    std::cout << "\n";
    for (const std::string& line : candidate.evidence) std::cout << "    > " << line << "\n";
  }
  if (diagnosis.failure != FailureClass::unknown) return;
  std::cout << "  the end of the log:\n";
  for (const std::string& line : diagnosis.tail) std::cout << "    > " << line << "\n";
}

// How triage does on endings whose class is known.
int measure_triage(const Options& options) {
  std::vector<LabelledEnding> endings;
  for (const std::string& file : options.labelled) {
    const auto text = read_file(file, kLabelledBytes);
    if (!text) return print_error(text.error());
    auto more = parse_labelled(*text);
    if (!more)
      return print_error({more.error().code, clean_line(file, 200) + ", " + more.error().message,
                          more.error().next});
    std::move(more->begin(), more->end(), std::back_inserter(endings));
  }
  const Confusion confusion = confusion_of(endings);
  Json misses = Json::array();
  for (const Miss& miss : confusion.misses()) {
    misses.push_back({{"name", miss.ending.name},
                      {"expected", failure_class_name(miss.ending.expected)},
                      {"got", failure_class_name(miss.diagnosis.failure)}});
  }
  if (options.json)
    print_json({{"total", confusion.total()},
                {"right", confusion.right()},
                {"misses", std::move(misses)}});
  else
    std::cout << confusion.table() << confusion.details();
  return static_cast<int>(confusion.misses().empty() ? Exit::fine : Exit::attention);
}

}  // namespace

int check_files(const Options& options) {
  CheckOptions check;
  if (!options.depth.empty()) {
    const auto depth = parse_depth(options.depth);
    if (!depth) return print_error(depth.error());
    check.depth = *depth;
  }
  check.digest = !options.no_digest;
  if (options.no_digest && check.depth == Depth::digest)
    return print_error({Code::invalid_argument, "--no-digest leaves nothing of --depth digest",
                        "name another depth"});
  const Signals signals;
  const std::vector<std::filesystem::path> paths(options.paths.begin(), options.paths.end());
  const auto reports = check_paths(paths, check, signals.token());
  if (!reports) return print_error(reports.error());
  const auto proven = std::count_if(
      reports->begin(), reports->end(),
      [](const ArtifactReport& report) { return report.verdict == ArtifactVerdict::ok; });
  const bool all = !reports->empty() && proven == static_cast<std::ptrdiff_t>(reports->size());
  Json rows = Json::array();
  for (const ArtifactReport& report : *reports) {
    rows.push_back(report_json(report));
    if (!options.json) print_report(report);
  }
  if (options.json)
    print_json({{"artifacts", std::move(rows)}});
  else if (reports->empty())
    std::cout << "NOT PROVEN: no files there.\n";
  else
    std::cout << (all ? "OK " : "NOT PROVEN: ") << proven << "/" << reports->size() << "\n";
  return static_cast<int>(all ? Exit::fine : Exit::attention);
}

int check_bundle_folder(const Options& options) {
  const Signals signals;
  const auto check = check_bundle(options.bundle, signals.token());
  if (!check) return print_error(check.error());
  const auto proven = std::count_if(
      check->reports.begin(), check->reports.end(),
      [](const ArtifactReport& report) { return report.verdict == ArtifactVerdict::ok; });
  const auto expected = static_cast<std::ptrdiff_t>(check->reports.size());
  const bool all = expected > 0 && proven == expected;
  const std::string counts = std::to_string(proven) + "/" + std::to_string(expected);
  const std::string summary = "Bundle of run " + check->bundle.run + ": " +
                              (all             ? "OK " + counts + ", errors 0."
                               : expected == 0 ? "NOT PROVEN: its list names no files."
                                               : "NOT PROVEN: " + counts + " ok, errors " +
                                                     std::to_string(expected - proven) + ".");
  Json rows = Json::array();
  Json unlisted = Json::array();
  for (const ArtifactReport& report : check->reports) {
    rows.push_back(report_json(report));
    if (!options.json) print_report(report);
  }
  for (const std::string& path : check->unlisted) {
    unlisted.push_back(clean_line(path, 300));
    if (!options.json)
      std::cout << "not in the list, so nothing is said about it: " << clean_line(path, 300)
                << "\n";
  }
  if (options.json) {
    print_json({{"summary", summary},
                {"verdict", all             ? "proven"
                            : expected == 0 ? "nothing_expected"
                                            : "not_proven"},
                {"run", check->bundle.run},
                {"ok", proven},
                {"expected", expected},
                {"errors", expected - proven},
                {"artifacts", std::move(rows)},
                {"unlisted", std::move(unlisted)}});
  } else {
    std::cout << summary << "\n";
  }
  return static_cast<int>(all ? Exit::fine : Exit::attention);
}

int triage_file(const Options& options) {
  if (!options.labelled.empty()) return measure_triage(options);
  if (options.file.empty())
    return print_error({Code::invalid_argument, "no log named",
                        "rgt triage FILE, or rgt triage --labelled ENDINGS"});
  FailureEvidence evidence;
  evidence.exit_code = options.exit_code;
  if (!options.signal.empty()) {
    const auto signal = parse_signal(options.signal);
    if (!signal)
      return print_error({Code::invalid_argument,
                          "--signal: no signal \"" + clean_line(options.signal, 40) + "\"",
                          "write KILL, SIGKILL or 9"});
    evidence.signal = *signal;
  }
  const auto text = read_tail(options.file);
  if (!text) return print_error(text.error());
  evidence.log_tail = *text;
  const Diagnosis diagnosis = triage(evidence);
  if (options.json)
    print_json(diagnosis_json(diagnosis));
  else
    print_diagnosis(diagnosis);
  return static_cast<int>(diagnosis.failure == FailureClass::none ? Exit::fine : Exit::attention);
}

}  // namespace rgt
