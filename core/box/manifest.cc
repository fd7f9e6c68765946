// SPDX-License-Identifier: MIT
#include "core/box/manifest.h"

#include <algorithm>
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

ManifestEntry read_file_line(AnswerReader& answer, const std::string& cell) {
  ManifestEntry entry;
  answer.take("file", 4);
  entry.cell = cell;
  entry.present = true;
  entry.path = answer.text(0);
  entry.size = answer.number(1);
  entry.mtime = answer.integer(2, 0, 1ll << 40);
  entry.sha256 = answer.hex_digest(3);
  check_path(answer, entry.path);
  return entry;
}

// One expected artifact: its files in the order of their names, or one entry that says: missing.
void read_artifact(AnswerReader& answer, const std::string& cell, Manifest& manifest, bool& limit) {
  answer.take("art", 1);
  const std::string expected = answer.text(0);
  const auto first = static_cast<std::ptrdiff_t>(manifest.entries.size());
  for (;;) {
    if (answer.at("tick") || answer.at("changed")) {
      manifest.run_live = manifest.run_live || answer.at("changed");
      answer.take(answer.at("tick") ? "tick" : "changed", 0);
    } else if (answer.at("limit")) {
      answer.take("limit", 0);
      limit = true;
    } else if (answer.at("file") && manifest.entries.size() <= kMaxFiles) {
      manifest.entries.push_back(read_file_line(answer, cell));
      const std::string& path = manifest.entries.back().path;
      if (answer.ok() && path != expected && path.rfind(expected + "/", 0) != 0) {
        answer.fail("a file of the artifact '" + clean_line(expected, 80) + "'");
      }
    } else if (answer.at("unreadable")) {
      answer.take("unreadable", 1);
      manifest.entries.push_back({.cell = cell, .path = answer.text(0)});
    } else if (answer.at("outside")) {
      answer.take("outside", 2);
      manifest.entries.push_back({.cell = cell,
                                  .path = answer.text(0),
                                  .leads_to = clean_line(answer.text(1), kLinkWords)});
    } else {
      break;
    }
  }
  if (static_cast<std::ptrdiff_t>(manifest.entries.size()) == first) {
    manifest.entries.push_back({.cell = cell, .path = expected});
  }
  std::sort(manifest.entries.begin() + first, manifest.entries.end(),
            [](const ManifestEntry& a, const ManifestEntry& b) { return a.path < b.path; });
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
    manifest.unexpected.push_back(file.first + "/" + clean_line(file.second, kMaxPath));
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

Error too_many() {
  return Error{Code::limit,
               "the expected artifacts hold more than " + std::to_string(kMaxFiles) + " files",
               "name the checkpoint folders themselves as artifacts, or pack small files"};
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text) {
  AnswerReader answer(text, "rgt-manifest 1");
  Manifest manifest;
  bool limit = false;
  std::string cell;
  std::vector<Key> unexpected;
  answer.take("run", 1);
  manifest.run = clean_line(answer.text(0), 64);
  while (answer.ok() && !answer.at("live")) {
    if (answer.at("cell")) {
      answer.take("cell", 1);
      cell = answer.name(0);
    } else if (answer.at("art")) {
      read_artifact(answer, cell, manifest, limit);
    } else if (answer.at("unexpected")) {
      answer.take("unexpected", 1);
      unexpected.emplace_back(cell, answer.text(0));
    } else if (answer.at("limit")) {
      answer.take("limit", 0);  // of the search for unexpected files: more exist than were named
      manifest.unexpected_truncated = true;
    } else {
      answer.take("tick", 0);
    }
    if (manifest.entries.size() > kMaxFiles) return too_many();
  }
  answer.take("live", 1);
  manifest.run_live = answer.flag(0) || manifest.run_live;
  while (answer.at("tick")) answer.take("tick", 0);
  answer.take("end", 0);
  if (!answer.ok()) return answer.error();
  if (limit) return too_many();
  drop_repeated(manifest);
  keep_unexpected(unexpected, manifest);
  return manifest;
}

Result<Manifest> take_manifest(Shell& shell, const std::string& folder, const JobSpec& job,
                               Milliseconds total_timeout, std::stop_token stop) {
  const std::string script = onbox_script("manifest");
  ScriptCall call;
  call.script = script;
  call.args = {folder, job.run, std::to_string(kMaxFiles)};
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
