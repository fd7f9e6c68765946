// SPDX-License-Identifier: MIT
// torch's distributed checkpoints: `.metadata`, a pickle that says which bytes of which
// `__R_I.distcp` are which chunk of which tensor, and those files, whose records are torch.save
// archives back to back. torch loads .metadata with an unrestricted unpickler; here it is described
// and never run. Sources: torch/distributed/checkpoint/metadata.py, filesystem.py.
#include <algorithm>

#include "core/artifact/file_bytes.h"
#include "core/artifact/folder.h"
#include "core/artifact/pickle_view.h"
#include "core/artifact/torch_model.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using Kind = PickleValue::Kind;
using Sizes = std::vector<std::uint64_t>;

constexpr std::uint64_t kMetadataMost = 64u << 20;  // bytes: as for any pickle
constexpr std::size_t kChunksMost = 500000;         // 1,000 tensors on 500 ranks
constexpr std::size_t kDimensionsMost = 16;         // bounds memory; torch allows 64, nobody has 10
constexpr std::uint64_t kPairsMost = 20000000;      // compared: a second's work

struct Chunk {
  Sizes offsets = {}, sizes = {};
};

struct Entry {
  bool is_tensor = false;
  std::uint64_t element_size = 0;  // 0: not known
  Sizes shape = {};
  std::vector<Chunk> chunks = {};  // sorted by where they begin
};

// One record of a data file.
struct Item {
  std::string name = {};  // of its tensor or object
  std::optional<Sizes> offsets = {};
  std::string file = {};
  std::uint64_t at = 0, length = 0;
};

struct Layout {
  std::map<std::string, Entry> entries = {};
  std::vector<Item> items = {};
};

std::string show(const Sizes& sizes) {
  std::vector<std::string> parts;
  for (const std::uint64_t size : sizes) parts.push_back(std::to_string(size));
  return "[" + join(parts, ", ") + "]";
}

// What .metadata says, by name and not by guess: anything of another shape is refused.
class LayoutReader {
 public:
  LayoutReader(const Pickle& pickle, Judgement& judgement)
      : pickle_(pickle), judgement_(judgement) {}

  Layout read() {
    const auto root = state(pickle_.root, "Metadata");
    const auto entries = root ? find_entry(pickle_, *root, "state_dict_metadata") : std::nullopt;
    const auto storage = root ? find_entry(pickle_, *root, "storage_data") : std::nullopt;
    if (!entries || !storage || at(*entries).kind != Kind::dict || at(*storage).kind != Kind::dict)
      return wrong("it is no description of a checkpoint"), Layout();
    for_each_entry(pickle_, *entries, [&](const PickleValue& key, PickleRef value) {
      if (!judgement_.failed()) read_entry(key, value);
    });
    const PickleValue& pairs = at(*storage);
    for (std::size_t i = 0; i + 1 < pairs.items.size() && !judgement_.failed(); i += 2)
      read_item(pairs.items[i], pairs.items[i + 1]);
    return std::move(layout_);
  }

 private:
  const PickleValue& at(PickleRef ref) const { return pickle_.values[ref]; }
  void wrong(const std::string& what) {
    if (!judgement_.failed()) judgement_.fail(ArtifactVerdict::corrupt, ".metadata: " + what);
  }

  bool is_a(PickleRef ref, std::string_view name) const {
    return class_of(pickle_, ref).ends_with(" " + std::string(name));
  }
  // The state of an object of that class: a dictionary.
  std::optional<PickleRef> state(PickleRef ref, std::string_view name) const {
    if (!is_a(ref, name)) return std::nullopt;
    const auto found = state_of(pickle_, ref);
    return found && at(*found).kind == Kind::dict ? found : std::nullopt;
  }

  std::optional<std::uint64_t> number(std::optional<PickleRef> ref) const {
    if (!ref || at(*ref).kind != Kind::integer || at(*ref).integer < 0) return std::nullopt;
    return static_cast<std::uint64_t>(at(*ref).integer);
  }
  // torch.Size((2, 3))
  std::optional<Sizes> sizes(std::optional<PickleRef> ref) const {
    if (!ref) return std::nullopt;
    const PickleValue* list = &at(*ref);
    if (class_of(pickle_, *ref) == "torch Size" && at(list->items[1]).items.size() == 1)
      list = &at(at(list->items[1]).items[0]);
    if (list->kind != Kind::tuple && list->kind != Kind::list) return std::nullopt;
    if (list->items.size() > kDimensionsMost) return std::nullopt;
    Sizes found;
    for (const PickleRef item : list->items) {
      const auto size = number(item);
      if (!size) return std::nullopt;
      found.push_back(*size);
    }
    return found;
  }

  void read_entry(const PickleValue& key, PickleRef value) {
    if (key.kind != Kind::text) return wrong("a name that is no text");
    if (is_a(value, "BytesStorageMetadata")) {
      layout_.entries[key.text] = {};
      return;
    }
    const auto tensor = state(value, "TensorStorageMetadata");
    const std::string name = shown(key.text);
    if (!tensor) return wrong(name + " is neither a tensor nor bytes");
    Entry entry{.is_tensor = true};
    const auto shape = sizes(find_entry(pickle_, *tensor, "size"));
    const auto chunks = find_entry(pickle_, *tensor, "chunks");
    if (!shape || !chunks || at(*chunks).kind != Kind::list)
      return wrong("tensor " + name + " is described wrongly");
    entry.shape = *shape;
    entry.element_size = element_size(find_entry(pickle_, *tensor, "properties"));
    for (const PickleRef ref : at(*chunks).items) {
      const auto chunk = state(ref, "ChunkStorageMetadata");
      auto offsets = chunk ? sizes(find_entry(pickle_, *chunk, "offsets")) : std::nullopt;
      auto extent = chunk ? sizes(find_entry(pickle_, *chunk, "sizes")) : std::nullopt;
      if (!offsets || !extent || offsets->size() != shape->size() ||
          extent->size() != shape->size())
        return wrong("a chunk of " + name + " is described wrongly");
      if (++chunks_ > kChunksMost)
        return judgement_.fail(ArtifactVerdict::unverified,
                               ".metadata: more chunks than we compare");
      entry.chunks.push_back({std::move(*offsets), std::move(*extent)});
    }
    std::sort(entry.chunks.begin(), entry.chunks.end(),
              [](const Chunk& a, const Chunk& b) { return a.offsets < b.offsets; });
    layout_.entries[key.text] = std::move(entry);
  }

  // TensorProperties(dtype, ...), as the tuple that its __getstate__ makes or as a dictionary.
  std::uint64_t element_size(std::optional<PickleRef> properties) const {
    const auto found = properties ? state_of(pickle_, *properties) : std::nullopt;
    if (!found) return 0;
    const PickleValue& value = at(*found);
    if (value.kind == Kind::tuple && !value.items.empty())
      return dtype_size(at(value.items[0]).text);
    const auto dtype = find_entry(pickle_, *found, "dtype");
    return dtype ? dtype_size(at(*dtype).text) : 0;
  }

  void read_item(PickleRef key, PickleRef value) {
    const auto index = state(key, "MetadataIndex");
    const auto info = state(value, "_StorageInfo");
    const auto name = index ? find_entry(pickle_, *index, "fqn") : std::nullopt;
    const auto path = info ? find_entry(pickle_, *info, "relative_path") : std::nullopt;
    const auto offset = info ? number(find_entry(pickle_, *info, "offset")) : std::nullopt;
    const auto length = info ? number(find_entry(pickle_, *info, "length")) : std::nullopt;
    if (!name || !path || !offset || !length || at(*name).kind != Kind::text ||
        at(*path).kind != Kind::text)
      return wrong("a record is described wrongly");
    if (layout_.items.size() == kChunksMost)
      return judgement_.fail(ArtifactVerdict::unverified,
                             ".metadata: more records than we compare");
    // Names and files are few and long: a hostile file repeats one a million times.
    text_ += at(*name).text.size() + at(*path).text.size();
    if (text_ > kMetadataMost)
      return judgement_.fail(ArtifactVerdict::hostile,
                             ".metadata: names that exhaust their reader");
    layout_.items.push_back({at(*name).text, sizes(find_entry(pickle_, *index, "offset")),
                             at(*path).text, *offset, *length});
  }

  const Pickle& pickle_;
  Judgement& judgement_;
  Layout layout_ = {};
  std::size_t chunks_ = 0;
  std::uint64_t text_ = 0;
};

// Do the chunks cover the tensor, each element once?
class Tiling {
 public:
  // What is wrong, or nothing.
  std::string check(const Entry& entry) {
    std::uint64_t whole = 1, sum = 0;
    if (!volume(entry.shape, whole)) return "has a shape that overflows";
    std::vector<const Chunk*> chunks;
    for (const Chunk& chunk : entry.chunks) {
      std::uint64_t elements = 0;
      if (!volume(chunk.sizes, elements) || !is_inside(chunk, entry.shape))
        return "has a chunk outside of it, at " + show(chunk.offsets);
      sum += elements;  // each at most `whole`, and they are few
      if (elements > 0) chunks.push_back(&chunk);
      if (sum > whole) break;  // then some two of these touch
    }
    if (sum < whole)
      return "has a hole: its chunks hold " + std::to_string(sum) + " of " + std::to_string(whole) +
             " elements";
    return overlap(chunks, entry.shape.empty());
  }
  bool exhausted() const { return pairs_ > kPairsMost; }

  static bool volume(const Sizes& sizes, std::uint64_t& elements) {
    elements = 1;
    bool overflow = false;
    for (const std::uint64_t size : sizes)
      overflow |= __builtin_mul_overflow(elements, size, &elements);
    return !overflow && elements < std::uint64_t{1} << 56;
  }

 private:
  static bool is_inside(const Chunk& chunk, const Sizes& shape) {
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (chunk.offsets[i] > shape[i] || chunk.sizes[i] > shape[i] - chunk.offsets[i]) return false;
    }
    return true;
  }
  static bool touch(const Chunk& a, const Chunk& b) {
    for (std::size_t i = 0; i < a.sizes.size(); ++i) {
      if (a.offsets[i] + a.sizes[i] <= b.offsets[i] || b.offsets[i] + b.sizes[i] <= a.offsets[i])
        return false;
    }
    return true;
  }
  // Sorted by where they begin in the first dimension, only those that begin before one ends there
  // can touch it.
  std::string overlap(std::vector<const Chunk*>& chunks, bool scalar) {
    if (scalar) return chunks.size() > 1 ? "has one element in several chunks" : "";
    std::sort(chunks.begin(), chunks.end(),
              [](const Chunk* a, const Chunk* b) { return a->offsets[0] < b->offsets[0]; });
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      const std::uint64_t end = chunks[i]->offsets[0] + chunks[i]->sizes[0];
      for (std::size_t j = i + 1; j < chunks.size() && chunks[j]->offsets[0] < end; ++j) {
        if (++pairs_ > kPairsMost) return {};
        if (touch(*chunks[i], *chunks[j]))
          return "has chunks that overlap, at " + show(chunks[i]->offsets) + " and " +
                 show(chunks[j]->offsets);
      }
    }
    return {};
  }
  std::uint64_t pairs_ = 0;
};

class DcpReader {
 public:
  explicit DcpReader(const FolderCheck& check) : check_(check), judgement_(check.judgement) {}

  Result<void> read() {
    if (!check_.folder.names.has(".metadata")) {
      judgement_.fail(ArtifactVerdict::incomplete,
                      "no .metadata: it is written last, so the save did not end");
      return {};
    }
    const auto text = member_text(check_, ".metadata", kMetadataMost);
    if (!text) return text.error();
    if (!*text) return {};
    const auto pickle = read_judged_pickle(**text, TorchNames::distributed, judgement_);
    if (pickle && pickle->size != (*text)->size())
      judgement_.fail(ArtifactVerdict::corrupt, ".metadata: bytes behind its end");
    if (!pickle || judgement_.failed()) return {};
    layout_ = LayoutReader(*pickle, judgement_).read();
    if (!judgement_.failed()) check_tiles();
    if (!judgement_.failed()) check_extents();
    if (judgement_.failed()) return {};
    if (auto done = read_records(); !done) return done;
    if (judgement_.failed()) return {};
    const Depth depth = std::min(check_.depth, Depth::values);
    judgement_.reached(depth);
    prove(".metadata", depth, "every record that it describes was found and read");
    for (const auto& [file, items] : by_file_)
      prove(file, depth,
            "each of its " + std::to_string(items.size()) +
                " records is described in .metadata and was read whole");
    return {};
  }

 private:
  void fail(ArtifactVerdict verdict, const std::string& what) { judgement_.fail(verdict, what); }

  void prove(const std::string& name, Depth depth, std::string why) {
    prove_member(*check_.folder.files.find(name)->second, depth, std::move(why));
  }

  // Each tensor is whole, and each chunk has its record.
  void check_tiles() {
    std::map<std::string_view, std::set<Sizes>> stored;
    for (const Item& item : layout_.items) {
      const auto entry = layout_.entries.find(item.name);
      if (entry == layout_.entries.end())
        return fail(ArtifactVerdict::corrupt,
                    "a record of " + shown(item.name) + ", which the checkpoint does not have");
      const Sizes begin = item.offsets.value_or(Sizes(entry->second.shape.size()));
      if (!stored[item.name].insert(begin).second)
        return fail(ArtifactVerdict::corrupt,
                    shown(item.name) + " has two records for the chunk at " + show(begin));
    }
    Tiling tiling;
    for (const auto& [name, entry] : layout_.entries) {
      if (!stored.contains(name))
        return fail(ArtifactVerdict::incomplete, shown(name) + " has no record");
      if (!entry.is_tensor) continue;
      if (const std::string wrong = tiling.check(entry); !wrong.empty())
        return fail(ArtifactVerdict::corrupt, "tensor " + shown(name) + " " + wrong);
      for (const Chunk& chunk : entry.chunks) {
        if (!stored[name].contains(chunk.offsets))
          return fail(ArtifactVerdict::incomplete, "the chunk of " + shown(name) + " at " +
                                                       show(chunk.offsets) + " has no record");
      }
      if (stored[name].size() > entry.chunks.size())
        return fail(ArtifactVerdict::corrupt,
                    shown(name) + " has records of chunks that it has not");
    }
    if (tiling.exhausted())
      fail(ArtifactVerdict::unverified, "more chunks side by side than we compare");
  }

  // The records of each file follow each other from its first byte to its last.
  void check_extents() {
    for (const Item& item : layout_.items) by_file_[item.file].push_back(&item);
    std::vector<std::string> missing;
    for (auto& [name, items] : by_file_) {
      if (name.starts_with('/') || ("/" + name + "/").find("/../") != std::string::npos)
        return fail(ArtifactVerdict::corrupt,
                    "it names a file outside of its folder: " + shown(name));
      const ArtifactReport* file = check_.folder.file(name);
      if (file == nullptr) {
        missing.push_back(shown(name));
        continue;
      }
      std::sort(items.begin(), items.end(),
                [](const Item* a, const Item* b) { return a->at < b->at; });
      std::uint64_t at = 0;
      for (const Item* item : items) {
        const std::string record = "the record of " + shown(item->name) + " in " + shown(name);
        if (item->at > file->size || item->length > file->size - item->at)
          return fail(ArtifactVerdict::incomplete,
                      record + " ends at byte " + std::to_string(item->at) + "+" +
                          std::to_string(item->length) + ", the file at " +
                          std::to_string(file->size) + ": it was cut");
        if (item->at < at)
          return fail(ArtifactVerdict::corrupt, record + " overlaps the one before it");
        if (item->at > at)
          return fail(ArtifactVerdict::corrupt, "bytes before " + record + " belong to nothing");
        at = item->at + item->length;
      }
      if (at != file->size)
        return fail(ArtifactVerdict::corrupt, std::to_string(file->size - at) +
                                                  " bytes at the end of " + shown(name) +
                                                  " belong to nothing");
    }
    if (!missing.empty())
      fail(ArtifactVerdict::incomplete, "its files are missing: " + list_some(missing));
  }

  Result<void> read_records() {
    for (const auto& [name, items] : by_file_) {
      const auto file = FileBytes::open(check_.folder.file(name)->path);
      if (!file) return file.error();
      for (const Item* item : items) {
        if (auto done = read_record(*file, *item); !done) return done;
        if (judgement_.failed()) return {};
      }
    }
    if (foreign_ > 0)
      fail(ArtifactVerdict::unverified,
           std::to_string(foreign_) +
               " of its records are no torch.save archives: compressed or "
               "of another writer, so only their places are proven");
    if (not_finite_ > 0)
      judgement_.warn(std::to_string(not_finite_) + " of its records hold NaN or infinite values");
    return {};
  }

  Result<void> read_record(const FileBytes& file, const Item& item) {
    const auto record = file.window(item.at, item.length);
    if (!record) return record.error();
    const auto head =
        record->read(0, std::min<std::size_t>(4, static_cast<std::size_t>(item.length)));
    if (!head) return head.error();
    if (*head != "PK\x03\x04") {
      ++foreign_;
      return {};
    }
    ArtifactReport report;
    if (auto done = read_pytorch_zip(*record, check_.depth, check_.stop, report); !done)
      return done;
    const std::string shown_record = "the record of " + shown(item.name);
    for (const Finding& finding : report.findings) {
      if (finding.severity == Finding::Severity::error)
        fail(report.verdict, shown_record + ": " + finding.what);
      not_finite_ += finding.what.find("NaN or infinite") != std::string::npos;
    }
    check_.report.tensors += report.tensors;
    check_.report.parameters += report.parameters;
    const Entry& entry = layout_.entries.find(item.name)->second;
    if (!judgement_.failed() && entry.is_tensor) compare(entry, item, report);
    return {};
  }

  // The record holds the chunk that it is said to: its shape, and as many bytes.
  void compare(const Entry& entry, const Item& item, const ArtifactReport& report) {
    const Sizes begin = item.offsets.value_or(Sizes(entry.shape.size()));
    const auto chunk = std::lower_bound(
        entry.chunks.begin(), entry.chunks.end(), begin,
        [](const Chunk& each, const Sizes& wanted) { return each.offsets < wanted; });
    const bool one = report.facts != nullptr && report.facts->tensors.size() == 1;
    if (!one || chunk == entry.chunks.end() || chunk->offsets != begin)
      return fail(ArtifactVerdict::corrupt,
                  "the record of " + shown(item.name) + " holds no single tensor");
    const TensorFact& tensor = report.facts->tensors[0];
    std::uint64_t elements = 0;
    const bool sized = Tiling::volume(chunk->sizes, elements) &&
                       (entry.element_size == 0 || tensor.bytes == elements * entry.element_size);
    if (tensor.shape != chunk->sizes || !sized)
      fail(ArtifactVerdict::corrupt,
           "the record of " + shown(item.name) + " holds a tensor " + show(tensor.shape) + " of " +
               std::to_string(tensor.bytes) + " bytes, its chunk is " + show(chunk->sizes));
  }

  const FolderCheck& check_;
  Judgement& judgement_;
  Layout layout_ = {};
  std::map<std::string, std::vector<const Item*>> by_file_ = {};
  std::uint64_t foreign_ = 0, not_finite_ = 0;
};

}  // namespace

bool is_dcp(const FolderNames& names) {
  return std::any_of(names.files.begin(), names.files.end(),
                     [](const std::string& name) { return name.ends_with(".distcp"); });
}

Result<void> read_dcp(const FolderCheck& check) { return DcpReader(check).read(); }

// A data file alone: nothing in it says where its records begin, or whether it is whole.
Result<void> read_dcp_part(const FileBytes&, Depth, std::stop_token, ArtifactReport& report) {
  report.format = "dcp_part";
  report.reader = "dcp/1";
  Judgement(report).fail(ArtifactVerdict::unverified,
                         "a part of a distributed checkpoint: check its folder, whose .metadata "
                         "says what must be in it");
  return {};
}

}  // namespace rgt
