// SPDX-License-Identifier: MIT
#include "core/box/job.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kMaxJobBytes = 32u << 20;      // 256 cells with a command of 64 KiB, and room
constexpr std::size_t kMaxCells = 256;               // one run folder stays listable by a person
constexpr std::size_t kMaxCommand = 64u << 10;       // bytes; a longer one belongs in a file
constexpr std::size_t kMaxArtifacts = 4096;          // per cell; a folder counts as one
constexpr std::size_t kMaxEnv = 512;                 // variables per cell
constexpr std::size_t kMaxEnvValue = 96u << 10;      // bytes; Linux takes 128 KiB per variable
constexpr std::size_t kMaxPath = 3072;               // bytes; PATH_MAX is 4096 and files come below
constexpr std::size_t kMaxBox = 255;                 // bytes; the longest host name
constexpr std::int64_t kMaxSeconds = 366ll * 86400;  // a year: beyond it is a typing error
constexpr std::size_t kShown = 60;                   // bytes of a wrong value in a message

// Thrown inside this file only, so that a check deep in the tree reads as one line.
struct Wrong {
  Error error = {};
};

[[noreturn]] void wrong(const std::string& path, const std::string& expected,
                        const std::string& found, Code code = Code::invalid_argument) {
  throw Wrong{Error{code, path + ": expected " + expected + ", found " + found,
                    "correct the job and launch again"}};
}

std::string shown(const Json& value) {
  if (value.is_string())
    return "\"" + clean_line(value.get_ref<const std::string&>(), kShown) + "\"";
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  return clean_line(value.dump(-1, ' ', true, Json::error_handler_t::replace), kShown);
}

void check_keys(const Json& object, const std::string& path,
                const std::vector<std::string>& known) {
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
    const auto guess = did_you_mean(item.key(), known);
    const std::string name = clean_line(item.key(), kShown);
    wrong(path.empty() ? name : path + "." + name,
          guess ? "a known key (did you mean " + *guess + "?)" : "one of " + join(known, ", "),
          "the unknown key \"" + name + "\"");
  }
}

std::string text_of(const Json& value, const std::string& path, std::size_t limit) {
  if (!value.is_string()) wrong(path, "a text", shown(value));
  const auto& text = value.get_ref<const std::string&>();
  if (text.find('\0') != std::string::npos) wrong(path, "a text without NUL bytes", "a NUL byte");
  if (text.size() > limit) {
    wrong(path, "at most " + std::to_string(limit) + " bytes",
          std::to_string(text.size()) + " bytes", Code::limit);
  }
  return text;
}

std::string optional_text(const Json& object, const char* key, const std::string& path,
                          std::size_t limit) {
  const auto found = object.find(key);
  return found == object.end() ? std::string() : text_of(*found, path + key, limit);
}

std::int64_t number(const Json& object, const char* key, std::int64_t otherwise, std::int64_t min,
                    std::int64_t max) {
  const auto found = object.find(key);
  if (found == object.end()) return otherwise;
  const std::string expected =
      "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  if (!found->is_number_integer()) wrong(key, expected, shown(*found));
  if (found->is_number_unsigned() &&
      found->get<std::uint64_t>() > static_cast<std::uint64_t>(max)) {
    wrong(key, expected, shown(*found));
  }
  const auto value = found->get<std::int64_t>();
  if (value < min || value > max) wrong(key, expected, shown(*found));
  return value;
}

std::string safe_name(const Json& value, const std::string& path) {
  std::string name = text_of(value, path, 4096);
  if (!is_safe_name(name)) wrong(path, "a name of " + std::string(kSafeNameRule), shown(value));
  return name;
}

const Json& needed(const Json& object, const char* key, const std::string& path,
                   const std::string& expected) {
  const auto found = object.find(key);
  if (found == object.end()) wrong(path + key, expected, "nothing");
  return *found;
}

// Absolute and without "..", "." and empty parts, so that comparing texts compares folders.
std::string absolute_path(const Json& object, const char* key, const std::string& path) {
  std::string text = optional_text(object, key, path, kMaxPath);
  if (text.empty()) return text;
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  bool right = text[0] == '/' && text != "/";
  if (right) {
    for (std::string_view part : split(std::string_view(text).substr(1), '/')) {
      right = right && !part.empty() && part != "." && part != "..";
    }
  }
  if (right) return text;
  wrong(path + key, "an absolute path below / without '..' ('~' and variables are not expanded)",
        "\"" + clean_line(text, kShown) + "\"");
}

std::string artifact_path(const Json& value, const std::string& path) {
  std::string text = text_of(value, path, kMaxPath);
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  for (std::string_view part : split(text, '/')) {
    if (part.empty() || part == "." || part == "..") {
      wrong(path, "a path relative to the cell's write path, without '..', '.' and empty parts",
            shown(value));
    }
  }
  return text;
}

bool is_variable_name(const std::string& name) {
  bool right = !name.empty() && name.size() <= 256 && !(name[0] >= '0' && name[0] <= '9');
  for (char c : name) {
    right = right && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_');
  }
  return right;
}

std::string variable_name(const std::string& name, const std::string& path) {
  const bool right = is_variable_name(name);
  const std::string found = "\"" + clean_line(name, kShown) + "\"";
  if (!right) wrong(path, "a variable name of A-Z a-z 0-9 _, not starting with a digit", found);
  if (to_lower(name).rfind("rgt_", 0) == 0)
    wrong(path, "a name that does not start with RGT_", found);
  return name;
}

std::map<std::string, std::string> environment(const Json& cell, const std::string& path) {
  std::map<std::string, std::string> env;
  const auto found = cell.find("env");
  if (found == cell.end()) return env;
  if (!found->is_object()) wrong(path + "env", "an object of texts", shown(*found));
  if (found->size() > kMaxEnv) {
    wrong(path + "env", "at most " + std::to_string(kMaxEnv) + " variables",
          std::to_string(found->size()), Code::limit);
  }
  for (const auto& item : found->items()) {
    const std::string where = path + "env." + clean_line(item.key(), kShown);
    env[variable_name(item.key(), where)] = text_of(item.value(), where, kMaxEnvValue);
  }
  return env;
}

std::vector<std::string> artifacts(const Json& cell, const std::string& path) {
  std::vector<std::string> paths;
  const auto found = cell.find("artifacts");
  if (found == cell.end()) return paths;
  if (!found->is_array()) wrong(path + "artifacts", "a list of paths", shown(*found));
  if (found->size() > kMaxArtifacts) {
    wrong(path + "artifacts", "at most " + std::to_string(kMaxArtifacts) + " paths (name folders)",
          std::to_string(found->size()), Code::limit);
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < found->size(); ++i) {
    const std::string where = path + "artifacts[" + std::to_string(i) + "]";
    paths.push_back(artifact_path((*found)[i], where));
    if (!seen.insert(paths.back()).second) wrong(where, "each path once", shown((*found)[i]));
  }
  return paths;
}

CellSpec cell_of(const Json& value, const std::string& at) {
  if (!value.is_object()) wrong(at, "an object", shown(value));
  check_keys(value, at, {"name", "command", "env", "write_path", "artifacts"});
  const std::string path = at + ".";
  CellSpec cell;
  cell.name = safe_name(needed(value, "name", path, "the cell's name"), path + "name");
  cell.command = text_of(needed(value, "command", path, "the shell text to run"), path + "command",
                         kMaxCommand);
  if (trim(cell.command).empty()) wrong(path + "command", "the shell text to run", "nothing");
  cell.env = environment(value, path);
  cell.write_path = absolute_path(value, "write_path", path);
  cell.artifacts = artifacts(value, path);
  return cell;
}

std::vector<CellSpec> cells_of(const Json& job) {
  const Json& list = needed(job, "cells", "", "a list of cells");
  if (!list.is_array() || list.empty()) {
    wrong("cells", "a list of 1 to " + std::to_string(kMaxCells) + " cells",
          list.is_array() ? "an empty list" : shown(list));
  }
  if (list.size() > kMaxCells) {
    wrong("cells", "at most " + std::to_string(kMaxCells) + " cells", std::to_string(list.size()),
          Code::limit);
  }
  std::vector<CellSpec> cells;
  std::set<std::string> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string at = "cells[" + std::to_string(i) + "]";
    cells.push_back(cell_of(list[i], at));
    if (!names.insert(cells.back().name).second) {
      wrong(at + ".name", "a name that no other cell has", "\"" + cells.back().name + "\" again");
    }
  }
  return cells;
}

bool is_inside(const std::string& inner, const std::string& outer) {
  return inner == outer || inner.rfind(outer + "/", 0) == 0;
}

// Two writers in one folder overwrite each other's checkpoints, and neither can then be proven.
void check_write_paths(const JobSpec& job) {
  for (std::size_t i = 0; i < job.cells.size(); ++i) {
    const std::string& mine = job.cells[i].write_path;
    const std::string at = "cells[" + std::to_string(i) + "].write_path";
    if (mine.empty()) continue;
    if (!job.run_root.empty() && is_inside(mine, job.run_root + "/" + job.run)) {
      wrong(at, "a folder outside the run folder (leave it empty for the run folder's own)",
            "\"" + clean_line(mine, kShown) + "\"");
    }
    for (std::size_t k = 0; k < i; ++k) {
      const std::string& other = job.cells[k].write_path;
      if (other.empty() || (!is_inside(mine, other) && !is_inside(other, mine))) continue;
      wrong(at,
            "a folder of its own, apart from cells[" + std::to_string(k) + "].write_path \"" +
                clean_line(other, kShown) + "\"",
            "\"" + clean_line(mine, kShown) + "\"");
    }
  }
}

std::string box_of(const Json& job) {
  std::string box = text_of(needed(job, "box", "", "the box to run on"), "box", kMaxBox);
  bool right = !box.empty() && box[0] != '-';
  for (char c : box) right = right && static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  if (!right) {
    wrong("box", "\"local\" or an ssh alias: no spaces, no '-' at its start",
          "\"" + clean_line(box, kShown) + "\"");
  }
  return box;
}

Detach detach_of(const Json& job) {
  const std::string name = optional_text(job, "detach", "", 64);
  if (name.empty() || name == "auto") return Detach::automatic;
  if (name == "tmux") return Detach::tmux;
  if (name == "nohup") return Detach::nohup;
  wrong("detach", "\"auto\", \"tmux\" or \"nohup\"", "\"" + clean_line(name, kShown) + "\"");
}

// Whoever mistakes names for values here has put a secret into the job: it is not told again.
std::vector<std::string> secrets_of(const Json& job) {
  const std::string wanted =
      "a list of at most 64 names of variables in rgt's own environment, without their values";
  const std::string untold = "something else (not shown, it may be a secret)";
  std::vector<std::string> names;
  const auto found = job.find("secret_env");
  if (found == job.end()) return names;
  if (!found->is_array() || found->size() > 64) {
    wrong("secret_env", wanted, untold);
  }
  for (std::size_t i = 0; i < found->size(); ++i) {
    const std::string at = "secret_env[" + std::to_string(i) + "]";
    const Json& name = (*found)[i];
    if (!name.is_string() || !is_variable_name(name.get<std::string>())) wrong(at, wanted, untold);
    names.push_back(variable_name(name.get<std::string>(), at));
    if (std::count(names.begin(), names.end(), names.back()) > 1) {
      wrong(at, "each name once", "\"" + names.back() + "\" again");
    }
  }
  return names;
}

JobSpec job_of(const Json& value) {
  if (!value.is_object()) wrong("job", "a JSON object", shown(value));
  check_keys(value, "",
             {"run", "box", "profile", "run_root", "directory", "cells", "parallel",
              "heartbeat_seconds", "expected_seconds", "stall_seconds", "detach", "secret_env"});
  JobSpec job;
  job.run = safe_name(needed(value, "run", "", "the run's name"), "run");
  job.box = box_of(value);
  job.profile = optional_text(value, "profile", "", 4096);
  if (job.profile.empty()) job.profile = job.box == "local" ? "local" : "generic-ssh";
  job.profile = safe_name(job.profile, "profile");
  job.run_root = absolute_path(value, "run_root", "");
  job.directory = absolute_path(value, "directory", "");
  job.cells = cells_of(value);
  job.parallel = static_cast<int>(number(value, "parallel", 1, 1, 64));
  job.heartbeat_seconds = static_cast<int>(number(value, "heartbeat_seconds", 30, 1, 3600));
  job.expected_seconds = number(value, "expected_seconds", 0, 0, kMaxSeconds);
  job.stall_seconds = number(value, "stall_seconds", 1800, 1, kMaxSeconds);
  job.detach = detach_of(value);
  job.secret_env = secrets_of(value);
  check_write_paths(job);
  for (std::size_t i = 0; i < job.cells.size(); ++i) {
    for (const std::string& name : job.secret_env) {
      if (job.cells[i].env.count(name) == 0) continue;
      wrong("cells[" + std::to_string(i) + "].env." + name, "a name that is not in secret_env",
            "the secret's name");
    }
  }
  return job;
}

}  // namespace

std::string_view detach_name(Detach detach) {
  switch (detach) {
    case Detach::automatic: return "auto";
    case Detach::tmux: return "tmux";
    case Detach::nohup: return "nohup";
  }
  return "auto";
}

// How a run is kept alive is not what it is: `detach` is left out. Names of secrets are in, values
// never were in a JobSpec.
std::string canonical_job(const JobSpec& job) {
  Json cells = Json::array();
  for (const CellSpec& cell : job.cells) {
    cells.push_back({{"name", cell.name},
                     {"command", cell.command},
                     {"env", cell.env},
                     {"write_path", cell.write_path},
                     {"artifacts", cell.artifacts}});
  }
  const Json whole = {{"run", job.run},
                      {"box", job.box},
                      {"profile", job.profile},
                      {"run_root", job.run_root},
                      {"directory", job.directory},
                      {"cells", cells},
                      {"parallel", job.parallel},
                      {"heartbeat_seconds", job.heartbeat_seconds},
                      {"expected_seconds", job.expected_seconds},
                      {"stall_seconds", job.stall_seconds},
                      {"secret_env", job.secret_env}};
  return whole.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string job_digest(const JobSpec& job) { return sha256_hex(canonical_job(job)); }

Result<JobSpec> parse_job(std::string_view json_text) {
  if (json_text.size() > kMaxJobBytes) {
    return Error{Code::limit,
                 "the job has " + std::to_string(json_text.size()) + " bytes, expected at most " +
                     std::to_string(kMaxJobBytes),
                 "put long commands into files on the box"};
  }
  try {
    return job_of(Json::parse(json_text));
  } catch (const Wrong& found) {
    return found.error;
  } catch (const Json::exception& bad) {
    return Error{Code::invalid_argument,
                 "the job is not valid JSON: " + clean_line(bad.what(), 300),
                 "correct the JSON and launch again"};
  }
}

}  // namespace rgt
