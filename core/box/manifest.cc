// SPDX-License-Identifier: MIT
#include "core/box/manifest.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

#include "core/base/digest.h"
#include "core/base/text.h"
#include "core/box/fields.h"
#include "core/box/onbox.h"

namespace rgt {
namespace {

constexpr std::size_t kMaxFiles = 100'000;       // promised in the header
constexpr std::size_t kMaxUnexpected = 100;      // promised in the header
constexpr std::size_t kOutputLimit = 96u << 20;  // bytes: 100,000 lines of a long path and a digest
constexpr std::size_t kLinkWords = 200;          // bytes of a link's target in a message
constexpr std::size_t kMaxPath = 4096;           // PATH_MAX of Linux

using Key = std::pair<std::string, std::string>;  // cell, path

void check_path(AnswerReader& answer, const std::string& path) {
  bool right = !path.empty() && path.size() <= kMaxPath && path[0] != '/' &&
               path.find('\0') == std::string::npos;
  for (std::string_view part : split(path, '/')) right = right && !part.empty() && part != "..";
  if (!right && answer.ok()) answer.fail("a path below the write path");
}

// One expected artifact, and what was said about it so far, in any order.
struct Expected {
  std::string cell = {};
  std::string path = {};
  std::vector<ManifestEntry> files = {};
};

void read_expected(AnswerReader& answer, const std::string& cell, std::vector<Expected>& all) {
  answer.take("art", 2);
  if (answer.number(0) != all.size() + 1) answer.fail("the next number of an artifact");
  all.push_back({.cell = cell, .path = answer.text(1)});
}

// A line about one file: its artifact's number first, then its path.
void read_about_file(AnswerReader& answer, std::vector<Expected>& all) {
  const std::size_t fields = answer.at("file") ? 5 : answer.at("outside") ? 3 : 2;
  const std::string keyword = fields == 5 ? "file" : fields == 3 ? "outside" : "unreadable";
  answer.take(keyword, fields);
  const auto number = static_cast<std::size_t>(answer.number(0, all.size()));
  if (number == 0) answer.fail("the number of an artifact");
  if (!answer.ok()) return;
  Expected& expected = all[number - 1];
  ManifestEntry entry{.cell = expected.cell, .path = answer.text(1)};
  check_path(answer, entry.path);
  if (fields == 5) {
    entry.present = true;
    entry.size = answer.number(2);
    entry.mtime = answer.integer(3, 0, 1ll << 40);
    entry.sha256 = answer.hex_digest(4);
  }
  if (fields == 3) entry.leads_to = clean_line(answer.text(2), kLinkWords);
  if (answer.ok() && entry.path != expected.path && entry.path.rfind(expected.path + "/", 0) != 0)
    answer.fail("a file of the artifact '" + clean_line(expected.path, 80) + "'");
  expected.files.push_back(std::move(entry));
}

// The files of each artifact in the order of their names, or one entry that says: missing.
void list_entries(std::vector<Expected> all, Manifest& manifest) {
  for (Expected& expected : all) {
    if (expected.files.empty())
      expected.files.push_back({.cell = expected.cell, .path = expected.path});
    std::sort(expected.files.begin(), expected.files.end(),
              [](const ManifestEntry& a, const ManifestEntry& b) { return a.path < b.path; });
    std::move(expected.files.begin(), expected.files.end(), std::back_inserter(manifest.entries));
  }
}

// A file named twice in a job (alone and inside its folder) is one file.
void drop_repeated(Manifest& manifest) {
  std::set<Key> seen;
  std::vector<ManifestEntry> kept;
  for (ManifestEntry& entry : manifest.entries) {
    if (seen.insert({entry.cell, entry.path}).second) kept.push_back(std::move(entry));
  }
  manifest.entries = std::move(kept);
}

void keep_unexpected(const std::vector<Key>& found, Manifest& manifest) {
  std::set<Key> expected;
  for (const ManifestEntry& entry : manifest.entries) expected.insert({entry.cell, entry.path});
  for (const Key& file : found) {
    if (expected.count(file) != 0) continue;
    if (manifest.unexpected.size() == kMaxUnexpected) {
      manifest.unexpected_truncated = true;
      return;
    }
    const std::string path = clean_line(file.second, kMaxPath);
    manifest.unexpected.push_back(file.first.empty() ? path : file.first + "/" + path);
  }
}

std::string request_lines(const JobSpec& job) {
  std::string lines;
  for (const CellSpec& cell : job.cells) {
    lines += "cell " + cell.name + " " + onbox_word(cell.write_path) + "\n";
    for (const std::string& path : cell.artifacts) lines += "art " + onbox_word(path) + "\n";
  }
  return lines;
}

// Did the box answer for exactly the cells and artifacts of this job?
bool covers(const Manifest& manifest, const JobSpec& job) {
  std::set<Key> answered;
  for (const ManifestEntry& entry : manifest.entries) {
    answered.insert({entry.cell, entry.path});
    for (std::size_t slash = entry.path.find('/'); slash != std::string::npos;
         slash = entry.path.find('/', slash + 1)) {
      answered.insert({entry.cell, entry.path.substr(0, slash)});
    }
  }
  for (const CellSpec& cell : job.cells) {
    for (const std::string& path : cell.artifacts) {
      if (answered.count({cell.name, path}) == 0) return false;
    }
  }
  return true;
}

// What the survey of other folders found below a write path was looked at there, and what belongs
// to another run is that run's to prove.
void drop_known(Manifest& manifest, const std::string& folder, const JobSpec& job) {
  std::vector<std::string> known{folder.substr(0, folder.rfind('/') + 1)};
  for (const CellSpec& cell : job.cells)
    if (!cell.write_path.empty()) known.push_back(cell.write_path + "/");
  std::set<std::string> seen;
  std::erase_if(manifest.unexpected, [&](const std::string& path) {
    if (path.empty() || path[0] != '/') return false;
    return !seen.insert(path).second ||
           std::any_of(known.begin(), known.end(),
                       [&](const std::string& place) { return path.starts_with(place); });
  });
}

Error too_many() {
  return Error{Code::limit,
               "the expected artifacts hold more than " + std::to_string(kMaxFiles) + " files",
               "name the checkpoint folders themselves as artifacts, or pack small files"};
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text) {
  AnswerReader answer(text, "rgt-manifest 2");
  Manifest manifest;
  bool limit = false;
  std::string cell;
  std::vector<Expected> expected;
  std::vector<Key> unexpected;
  std::size_t files = 0;
  answer.take("run", 1);
  manifest.run = clean_line(answer.text(0), 64);
  while (answer.ok() && !answer.at("live")) {
    if (answer.at("cell")) {
      answer.take("cell", 1);
      cell = answer.name(0);
    } else if (answer.at("art")) {
      read_expected(answer, cell, expected);
    } else if (answer.at("file") || answer.at("unreadable") || answer.at("outside")) {
      read_about_file(answer, expected);
      if (++files > kMaxFiles) return too_many();
    } else if (answer.at("unexpected")) {
      answer.take("unexpected", 1);
      unexpected.emplace_back(cell, answer.text(0));
    } else if (answer.at("lost")) {
      answer.take("lost", 1);
      unexpected.emplace_back("", answer.text(0));
    } else if (answer.at("limit")) {
      answer.take("limit", 0);
      limit = true;
    } else if (answer.at("more")) {
      answer.take("more", 0);
      manifest.unexpected_truncated = true;
    } else if (answer.at("changed")) {
      answer.take("changed", 0);
      manifest.run_live = true;
    } else {
      answer.take("tick", 0);
    }
    if (expected.size() > kMaxFiles) return too_many();
  }
  answer.take("live", 1);
  manifest.run_live = answer.flag(0) || manifest.run_live;
  while (answer.at("tick")) answer.take("tick", 0);
  answer.take("end", 0);
  if (!answer.ok()) return answer.error();
  if (limit) return too_many();
  list_entries(std::move(expected), manifest);
  drop_repeated(manifest);
  keep_unexpected(unexpected, manifest);
  return manifest;
}

Result<Manifest> take_manifest(Shell& shell, const std::string& folder, const JobSpec& job,
                               Milliseconds total_timeout, std::stop_token stop,
                               const std::vector<std::string>& survey) {
  const std::string script = onbox_script("manifest");
  ScriptCall call;
  call.script = script;
  call.args = {folder, job.run, std::to_string(kMaxFiles)};
  call.args.insert(call.args.end(), survey.begin(), survey.end());
  call.input = request_lines(job);
  call.idle_timeout = Seconds(30);  // the script says a word every 5 s while it hashes
  call.total_timeout = total_timeout;
  call.output_limit = kOutputLimit;
  auto text = onbox_answer(shell.run(call, stop), "taking the manifest");
  if (!text) return text.error();
  auto manifest = parse_manifest(*text);
  if (!manifest) return manifest.error();
  if (manifest->run != job.run || !covers(*manifest, job)) {
    return Error{Code::corrupt, "the box's manifest does not cover the artifacts of run " + job.run,
                 "verify again; if it stays, the box's sh is broken"};
  }
  drop_known(*manifest, folder, job);
  return manifest;
}

std::string manifest_digest(const Manifest& manifest) {
  std::vector<std::string> rows;
  for (const ManifestEntry& entry : manifest.entries) {
    // Lengths before texts, so that no two different lists can spell the same bytes.
    rows.push_back(std::to_string(entry.cell.size()) + " " + entry.cell + " " +
                   std::to_string(entry.path.size()) + " " + entry.path + " " +
                   (entry.present ? "present " : "missing ") + std::to_string(entry.size) + " " +
                   entry.sha256 + "\n");
  }
  std::sort(rows.begin(), rows.end());
  Sha256 digest;
  for (const std::string& row : rows) digest.update(row.data(), row.size());
  return digest.finish();
}

}  // namespace rgt
