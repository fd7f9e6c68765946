// SPDX-License-Identifier: MIT
// Weights in several files and an index that says which tensor is in which:
// `model.safetensors.index.json`, `pytorch_model.bin.index.json` and the like. Source:
// transformers, modeling_utils.py (save_pretrained); huggingface_hub, serialization.
#include <algorithm>
#include <cmath>
#include <map>

#include "core/artifact/folder.h"
#include "core/artifact/json_walk.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kIndexMost = 64u << 20;  // bytes: a million tensors take that
constexpr std::uint64_t kShardsMost = 100000;    // five digits are all the names have

// "model.safetensors.index.json", or with a variant: "model.safetensors.index.fp16.json". What it
// is the index of, else empty.
std::string indexed_by(std::string_view name) {
  for (const std::string_view ending : {".safetensors", ".bin"}) {
    const std::size_t at = name.find(std::string(ending) + ".index.");
    if (at == std::string_view::npos || at == 0 || !name.ends_with(".json")) continue;
    const std::size_t from = at + ending.size() + std::string_view(".index.").size();
    const std::string variant =
        from + 5 < name.size() ? "." + std::string(name.substr(from, name.size() - from - 5)) : "";
    return std::string(name.substr(0, at)) + variant + std::string(ending);
  }
  return {};
}

// "model-00002-of-00003.safetensors"
struct ShardName {
  std::string set = {};  // what the names of one set share: "model", ".safetensors"
  std::uint64_t number = 0, count = 0;
};

std::optional<ShardName> parse_shard(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  const std::size_t of = name.rfind("-of-");
  if (dot == std::string_view::npos || of == std::string_view::npos || of + 4 > dot || of == 0)
    return std::nullopt;
  const std::string_view ending = name.substr(dot);
  const std::size_t dash = name.rfind('-', of - 1);
  if (dash == std::string_view::npos || (ending != ".safetensors" && ending != ".bin"))
    return std::nullopt;
  const auto number = parse_uint(name.substr(dash + 1, of - dash - 1));
  const auto count = parse_uint(name.substr(of + 4, dot - of - 4));
  if (!number || !count || *number > kShardsMost || *count > kShardsMost) return std::nullopt;
  return ShardName{std::string(name.substr(0, dash)) + std::string(ending), *number, *count};
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

struct Index {
  std::map<std::string, std::string> places = {};  // tensor -> file
  std::optional<double> total_size = {};
};

std::optional<Index> parse_index(std::string_view text, const std::string& name,
                                 Judgement& judgement) {
  Index index;
  std::string wrong;
  const auto done = walk_json(text, [&](const JsonPath& path, const JsonScalar& value) {
    if (path == JsonPath{"metadata", "total_size"} && value.is_number())
      index.total_size = value.real;
    if (path.empty() || path[0] != "weight_map") return;
    if (path.size() != 2 || value.in_list || value.kind != JsonScalar::Kind::text)
      wrong = "its weight_map is no map of names to files";
    else
      index.places[path[1]] = std::string(value.text);
  });
  if (!done) wrong = done.error().message;
  if (wrong.empty() && index.places.empty()) wrong = "it has no weight_map";
  if (wrong.empty()) return index;
  judgement.fail(ArtifactVerdict::corrupt, name + ": " + wrong);
  return std::nullopt;
}

class ShardedReader {
 public:
  ShardedReader(const FolderCheck& check, std::string name)
      : check_(check), name_(shown(name)), file_(std::move(name)) {}

  Result<void> read() {
    const auto text = member_text(check_, file_, kIndexMost);
    if (!text) return text.error();
    if (!*text) return {};
    auto index = parse_index(**text, name_, check_.judgement);
    if (!index) return {};
    index_ = std::move(*index);
    if (!find_shards()) return {};
    check_numbers();
    if (check_.judgement.failed()) return {};
    check_places();
    if (!check_.judgement.failed()) check_total();
    return {};
  }

  // The files it names, whatever came of it.
  std::set<std::string> files() const {
    std::set<std::string> all;
    for (const auto& [tensor, file] : index_.places) all.insert(file);
    return all;
  }

 private:
  void fail(ArtifactVerdict verdict, const std::string& what) {
    check_.judgement.fail(verdict, name_ + ": " + what);
  }

  // Every file that the index names is there and could be read.
  bool find_shards() {
    std::vector<std::string> missing;
    for (const auto& [tensor, file] : index_.places) {
      if (shards_.contains(file)) continue;
      if (!is_plain_name(file)) {
        fail(ArtifactVerdict::corrupt, "it names a file outside of its folder: " + shown(file));
        return false;
      }
      const ArtifactReport* report = check_.folder.file(file);
      if (report == nullptr) missing.push_back(shown(file));
      shards_[file] = report;
    }
    if (!missing.empty()) {
      fail(ArtifactVerdict::incomplete, "shards are missing: " + list_some(missing));
      return false;
    }
    for (const auto& [file, report] : shards_) {
      if (report->facts != nullptr && !report->facts->partial) continue;
      if (report->verdict == ArtifactVerdict::ok || report->verdict == ArtifactVerdict::unverified)
        fail(ArtifactVerdict::unverified, "the tensors of " + shown(file) + " are not known");
      return false;
    }
    return true;
  }

  // "-00001-of-00003": all of one set, and the set is whole.
  void check_numbers() {
    std::map<std::string, std::set<std::uint64_t>> counts;
    std::map<std::string, std::set<std::uint64_t>> numbers;
    for (const auto& [file, report] : shards_) {
      const auto shard = parse_shard(file);
      if (!shard) continue;
      counts[shard->set].insert(shard->count);
      if (shard->number > 0) numbers[shard->set].insert(shard->number - 1);
    }
    for (const auto& [set, several] : counts) {
      if (several.size() > 1)
        return fail(ArtifactVerdict::corrupt, "it names shards of different sets: of " +
                                                  std::to_string(*several.begin()) + " and of " +
                                                  std::to_string(*several.rbegin()));
      const std::uint64_t count = *several.begin();
      if (numbers[set].size() != count || *numbers[set].rbegin() + 1 != count)
        return fail(ArtifactVerdict::incomplete, "it names " + std::to_string(numbers[set].size()) +
                                                     " shards of " + std::to_string(count));
    }
  }

  // Each tensor is in the file the index says, and in no other of the set.
  void check_places() {
    std::map<std::string_view, std::string_view> found;
    for (const auto& [file, report] : shards_) {
      for (const TensorFact& tensor : report->facts->tensors) {
        const auto place = index_.places.find(tensor.name);
        if (place == index_.places.end())
          return fail(ArtifactVerdict::corrupt,
                      "tensor " + shown(tensor.name) + " of " + shown(file) + " is not in it");
        const auto [other, is_new] = found.try_emplace(tensor.name, file);
        if (!is_new && other->second != file)
          return fail(ArtifactVerdict::corrupt, "tensor " + shown(tensor.name) + " is in both " +
                                                    shown(other->second) + " and " + shown(file));
        if (place->second != file)
          return fail(ArtifactVerdict::corrupt, "tensor " + shown(tensor.name) + " is in " +
                                                    shown(file) + ", not in " +
                                                    shown(place->second) + " as it says");
      }
    }
    for (const auto& [tensor, file] : index_.places) {
      if (!found.contains(tensor))
        return fail(ArtifactVerdict::incomplete,
                    "tensor " + shown(tensor) + " is not in " + shown(file));
    }
  }

  // A shard of the same names in another precision shows only here. Writers differ in two things:
  // whether tied weights count once, and some count truth values as an eighth of a byte.
  void check_total() {
    if (!index_.total_size)
      return check_.judgement.info(name_ + ": it has no total_size to compare with");
    double all = 0, shared = 0, bools = 0;
    for (const auto& [file, report] : shards_) {
      shared += static_cast<double>(report->facts->shared_bytes);
      for (const TensorFact& tensor : report->facts->tensors) {
        all += static_cast<double>(tensor.bytes);
        if (tensor.is_bool) bools += static_cast<double>(tensor.bytes) * 7 / 8;
      }
    }
    for (const double sum : {all, all - shared, all - bools, all - shared - bools}) {
      if (std::abs(sum - *index_.total_size) < 1) return;
    }
    fail(
        ArtifactVerdict::corrupt,
        "its tensors have " + std::to_string(static_cast<std::uint64_t>(all)) +
            " bytes, total_size says " +
            std::to_string(static_cast<std::int64_t>(std::clamp(*index_.total_size, -1e18, 1e18))));
  }

  const FolderCheck& check_;
  const std::string name_, file_;
  Index index_ = {};
  std::map<std::string, const ArtifactReport*> shards_ = {};
};

// Shards that no index names: leftovers of another save, or of one that did not end.
void judge_strays(const FolderCheck& check, const std::set<std::string>& indexed_sets,
                  const std::set<std::string>& indexed_files) {
  std::map<std::string, std::map<std::uint64_t, std::set<std::uint64_t>>> sets;
  for (const std::string& name : check.folder.names.files) {
    const auto shard = parse_shard(name);
    if (!shard || shard->number == 0 || indexed_files.contains(name)) continue;
    if (indexed_sets.contains(shard->set))
      check.judgement.warn(shown(name) +
                           " is of another set than the index: left from another save");
    else
      sets[shard->set][shard->count].insert(shard->number - 1);
  }
  for (const auto& [set, by_count] : sets) {
    for (const auto& [count, numbers] : by_count)
      expect_all(numbers, 1, count, "of the shards of " + shown(set) + " number", check.judgement);
    if (by_count.contains(1)) continue;  // alone, it needs no index
    check.judgement.fail(ArtifactVerdict::incomplete,
                         "the shards of " + shown(set) +
                             " have no index: it is written last, so the save did not end");
  }
}

}  // namespace

bool is_sharded(const FolderNames& names) {
  return std::any_of(names.files.begin(), names.files.end(), [](const std::string& name) {
    return !indexed_by(name).empty() || parse_shard(name).has_value();
  });
}

Result<void> read_sharded(const FolderCheck& check) {
  std::set<std::string> sets, files;
  std::optional<Depth> depth;
  for (const std::string& name : check.folder.names.files) {
    const std::string whole = indexed_by(name);
    if (whole.empty()) continue;
    sets.insert(whole);
    if (check.folder.names.has(whole))
      check.judgement.warn(shown(whole) + " is beside its index: a loader takes only one of them");
    ShardedReader reader(check, name);
    if (auto done = reader.read(); !done) return done;
    files.merge(reader.files());
  }
  judge_strays(check, sets, files);
  for (const std::string& name : files) {
    const ArtifactReport* shard = check.folder.file(name);
    if (shard == nullptr) continue;
    depth = std::min(depth.value_or(shard->depth), shard->depth);
    if (check.report.format == "sharded") check.report.format += "_" + shard->format;
  }
  if (depth) check.judgement.reached(std::max(*depth, Depth::structure));
  return {};
}

}  // namespace rgt
