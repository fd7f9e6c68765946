// SPDX-License-Identifier: MIT
#include "core/artifact/bundle.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/artifact/json_text.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;
constexpr const char* kFormat = "rgt-bundle";
constexpr int kVersion = 1;
constexpr std::uint64_t kTextMost = 64u << 20;  // bytes: 100,000 files of long names
constexpr std::size_t kFilesMost = 100'000;     // as many as a manifest has
constexpr std::size_t kPathMost = 4096;         // PATH_MAX of Linux
constexpr std::size_t kWordMost = 200;          // bytes of a name, a reader, a version
constexpr int kDepthMost = 4;                   // object, files, file, and what we do not know yet

Error not_ours(const std::string& why) {
  return {Code::corrupt, std::string(kBundleName) + " is no list of a bundle: " + why,
          "get the folder again from where it came, or check the files alone: rgt check"};
}

Error hostile(const std::string& why) {
  return {Code::refused, std::string(kBundleName) + " " + why, "do not trust this folder"};
}

std::string word(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return {};
  return clean_line(found->get_ref<const std::string&>(), kWordMost);
}

bool is_digest(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<std::string> read_path(const Json& file) {
  const bool plain = file.contains("path");
  const auto found = file.find(plain ? "path" : "path_base64");
  if (found == file.end() || !found->is_string()) return not_ours("a file without a path");
  std::string path = found->get<std::string>();
  if (!plain) path = base64_decode(path).value_or("");
  bool right = !path.empty() && path.size() <= kPathMost && path[0] != '/' &&
               path.find('\0') == std::string::npos;
  for (const std::string_view part : split(path, '/'))
    right = right && !part.empty() && part != "." && part != "..";
  if (!right) return hostile("names a path outside of its folder: " + clean_line(path, 200));
  if (path == kBundleName) return hostile("lists itself");
  return path;
}

Result<BundleFile> read_entry(const Json& json) {
  if (!json.is_object()) return not_ours("a file that is no object");
  BundleFile file;
  auto path = read_path(json);
  if (!path) return path.error();
  file.path = std::move(*path);
  const auto size = json.find("size");
  if (size == json.end() || !size->is_number_unsigned())
    return not_ours("a file without a size: " + clean_line(file.path, 200));
  file.size = size->get<std::uint64_t>();
  file.sha256 = word(json, "sha256");
  if (!is_digest(file.sha256))
    return not_ours("a file without a SHA-256: " + clean_line(file.path, 200));
  file.format = word(json, "format");
  file.reader = word(json, "reader");
  file.depth = word(json, "depth");
  return file;
}

// No path twice, and none that needs another's file to be a folder.
Result<void> check_names(const std::vector<BundleFile>& files) {
  std::set<std::string_view> names;
  for (const BundleFile& file : files) {
    if (!names.insert(file.path).second)
      return hostile("names a file twice: " + clean_line(file.path, 200));
  }
  for (const BundleFile& file : files) {
    const std::string_view path = file.path;
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
      if (names.count(path.substr(0, slash)) != 0)
        return hostile("names a file inside of another: " + clean_line(path, 200));
    }
  }
  return {};
}

// Why the path cannot be checked; empty: it is a real file of that size.
std::string why_not(const fs::path& folder, const BundleFile& file, ArtifactVerdict& verdict) {
  fs::path place = folder;
  std::error_code absent;
  for (const std::string_view part : split(file.path, '/')) {
    place /= part;
    const auto status = fs::symlink_status(place, absent);
    verdict = ArtifactVerdict::hostile;
    if (fs::is_symlink(status)) return "a symbolic link stands in its way, and is not followed";
    verdict = ArtifactVerdict::incomplete;
    if (!fs::exists(status)) return "it is not here";
  }
  verdict = ArtifactVerdict::hostile;
  if (!fs::is_regular_file(fs::symlink_status(place, absent))) return "it is no regular file";
  const auto size = fs::file_size(place, absent);
  verdict = size < file.size ? ArtifactVerdict::incomplete : ArtifactVerdict::corrupt;
  if (!absent && size == file.size) return {};
  return "it has " + std::to_string(absent ? 0 : size) + " bytes, the list says " +
         std::to_string(file.size);
}

ArtifactReport failed(const BundleFile& file, ArtifactVerdict verdict, std::string why) {
  ArtifactReport report;
  report.verdict = verdict;
  report.path = file.path;
  report.format = file.format;
  report.findings = {{Finding::Severity::error, std::move(why)}};
  return report;
}

void hold_to_list(const BundleFile& file, ArtifactReport& report) {
  report.path = file.path;
  if (report.sha256 != file.sha256) {
    report.verdict = ArtifactVerdict::corrupt;
    report.findings.insert(
        report.findings.begin(),
        {Finding::Severity::error, "its SHA-256 is " + report.sha256.substr(0, 12) +
                                       "..., the list says " + file.sha256.substr(0, 12) + "..."});
  }
}

// Only sets of the very bytes on the list count: a file with other bytes is missing from its set.
Result<void> judge_bundle_sets(const fs::path& folder, const std::vector<std::size_t>& whole,
                               const Bundle& bundle, std::vector<ArtifactReport>& reports,
                               std::stop_token stop) {
  std::vector<ArtifactReport*> files;
  for (const std::size_t i : whole) {
    if (reports[i].sha256 == bundle.files[i].sha256) files.push_back(&reports[i]);
  }
  const auto sets = judge_sets(folder, files, std::move(stop));
  return sets ? Result<void>() : sets.error();
}

}  // namespace

std::string bundle_text(const Bundle& bundle) {
  Json files = Json::array();
  for (const BundleFile& file : bundle.files) {
    Json entry{{"size", file.size},
               {"sha256", file.sha256},
               {"format", file.format},
               {"reader", file.reader},
               {"depth", file.depth}};
    if (is_valid_utf8(file.path))
      entry["path"] = file.path;
    else
      entry["path_base64"] = base64_encode(file.path);
    files.push_back(std::move(entry));
  }
  const Json json{{"format", kFormat},     {"version", kVersion},
                  {"run", bundle.run},     {"tool", bundle.tool},
                  {"made", bundle.made},   {"manifest_digest", bundle.manifest_digest},
                  {"cells", bundle.cells}, {"files", std::move(files)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Bundle> parse_bundle(std::string_view text) {
  if (text.size() > kTextMost)
    return Error{Code::limit,
                 std::string(kBundleName) + " is larger than " + human_bytes(kTextMost),
                 "do not trust this folder"};
  if (nests_deeper(text, kDepthMost)) return not_ours("it nests too deep");
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return not_ours("it is no such JSON object");
  if (word(json, "format") != kFormat) return not_ours("its format is another");
  const auto version = json.find("version");
  if (version == json.end() || !version->is_number_integer() || *version != kVersion) {
    return Error{Code::corrupt,
                 std::string(kBundleName) + " is of a version that is not known here",
                 "use a newer rgt"};
  }
  Bundle bundle;
  bundle.run = word(json, "run");
  bundle.tool = word(json, "tool");
  bundle.made = word(json, "made");
  bundle.manifest_digest = word(json, "manifest_digest");
  if (const auto cells = json.find("cells"); cells != json.end() && cells->is_array()) {
    for (const Json& cell : *cells) {
      if (cell.is_string() && bundle.cells.size() < kFilesMost)
        bundle.cells.push_back(clean_line(cell.get_ref<const std::string&>(), kWordMost));
    }
  }
  const auto files = json.find("files");
  if (files == json.end() || !files->is_array()) return not_ours("it lists no files");
  if (files->size() > kFilesMost)
    return Error{Code::limit, std::string(kBundleName) + " lists more than 100,000 files",
                 "do not trust this folder"};
  for (const Json& json_file : *files) {
    auto file = read_entry(json_file);
    if (!file) return file.error();
    bundle.files.push_back(std::move(*file));
  }
  if (auto names = check_names(bundle.files); !names) return names.error();
  return bundle;
}

Result<BundleCheck> check_bundle(const fs::path& folder, std::stop_token stop) {
  const fs::path list = folder / kBundleName;
  std::error_code absent;
  const auto status = fs::symlink_status(list, absent);
  if (fs::exists(status) && !fs::is_regular_file(status)) return hostile("is no regular file");
  const auto text = read_file(list, kTextMost);
  if (!text) {
    if (text.error().code != Code::not_found) return text.error();
    return Error{
        Code::not_found,
        "no " + std::string(kBundleName) + " in " + clean_line(folder.string(), 200),
        "verify_artifacts writes one into a run's folder once all of it is proven; without "
        "one: rgt check"};
  }
  auto bundle = parse_bundle(*text);
  if (!bundle) return bundle.error();
  BundleCheck check;
  check.bundle = std::move(*bundle);
  std::vector<std::size_t> whole;
  std::vector<fs::path> paths;
  std::set<std::string> listed;
  for (std::size_t i = 0; i < check.bundle.files.size(); ++i) {
    const BundleFile& file = check.bundle.files[i];
    listed.insert(file.path);
    ArtifactVerdict verdict = ArtifactVerdict::corrupt;
    std::string why = why_not(folder, file, verdict);
    check.reports.push_back(failed(file, verdict, why));
    if (!why.empty()) continue;
    whole.push_back(i);
    paths.push_back(folder / file.path);
  }
  if (!paths.empty()) {
    auto reports = check_paths(paths, CheckOptions{}, stop);
    if (!reports) return reports.error();
    if (reports->size() != paths.size())
      return Error{Code::io, "the folder changed while it was checked", "check it again"};
    for (std::size_t i = 0; i < whole.size(); ++i) {
      ArtifactReport& report = (*reports)[i];
      check.reports[whole[i]] = std::move(report);
    }
    if (auto judged =
            judge_bundle_sets(folder, whole, check.bundle, check.reports, std::move(stop));
        !judged)
      return judged.error();
    for (const std::size_t i : whole) hold_to_list(check.bundle.files[i], check.reports[i]);
  }
  check.unlisted = files_beside(folder, listed, 100);
  return check;
}

std::vector<std::string> files_beside(const fs::path& folder, const std::set<std::string>& listed,
                                      std::size_t limit) {
  std::vector<std::string> others;
  std::error_code trouble;
  for (fs::recursive_directory_iterator entry(folder, trouble), end; !trouble && entry != end;
       entry.increment(trouble)) {
    std::error_code ignored;
    const std::string path = entry->path().lexically_relative(folder).string();
    if (entry.depth() == 0 && (path == kBundleName || path.starts_with(".rgt-"))) {
      entry.disable_recursion_pending();
      continue;
    }
    const bool is_folder = entry->is_directory(ignored) && !entry->is_symlink(ignored);
    if (is_folder || listed.count(path) != 0) continue;
    others.push_back(path);
    // Enough to say so, however many there are.
    if (others.size() > limit * 100) break;
  }
  std::sort(others.begin(), others.end());
  if (others.size() > limit) others.resize(limit);
  return others;
}

}  // namespace rgt
