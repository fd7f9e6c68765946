// SPDX-License-Identifier: MIT
// TensorFlow's checkpoint: PREFIX.index, a LevelDB table that says where each tensor is and what
// its CRC-32C is, and PREFIX.data-0000I-of-0000N, the bytes. Source: tensorflow/core/protobuf/
// tensor_bundle.proto, core/util/tensor_bundle/tensor_bundle.cc, core/lib/io/format.cc.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <vector>

#include "core/artifact/byte_window.h"
#include "core/artifact/crc32c.h"
#include "core/artifact/format.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kFooter = 48;  // bytes
constexpr std::uint64_t kMagic = 0xdb4775248b80fb57ull;
constexpr std::uint64_t kTrailer = 5;             // bytes behind a block: how it is packed, its CRC
constexpr std::uint64_t kBlockMost = 64u << 20;   // bytes; TensorFlow writes 256 KiB
constexpr std::uint64_t kIndexMost = 256u << 20;  // bytes; 100,000 tensors take 10 MB
constexpr std::size_t kEntriesMost = 1000000;
constexpr std::size_t kKeyMost = 65536;  // bytes
constexpr std::uint64_t kShardsMost = 10000;
constexpr std::size_t kRankMost = 254;  // TensorFlow's own limit
constexpr std::uint64_t kStringsMost = 50000000;

using Wire = ProtoField::Wire;

struct Dtype {
  std::uint64_t bytes = 0;  // 0: not this kind of tensor
  ElementType type = ElementType::other;
};
constexpr std::uint64_t kDtString = 7;

// DataType of tensorflow/core/framework/types.proto.
Dtype dtype_of(std::uint64_t number) {
  static const std::map<std::uint64_t, Dtype> table{{1, {4, ElementType::f32}},
                                                    {2, {8, ElementType::f64}},
                                                    {3, {4}},
                                                    {4, {1}},
                                                    {5, {2}},
                                                    {6, {1}},
                                                    {8, {8, ElementType::f32}},
                                                    {9, {8}},
                                                    {10, {1}},
                                                    {11, {1}},
                                                    {12, {1}},
                                                    {13, {4}},
                                                    {14, {2, ElementType::bf16}},
                                                    {15, {2}},
                                                    {16, {2}},
                                                    {17, {2}},
                                                    {18, {16, ElementType::f64}},
                                                    {19, {2, ElementType::f16}},
                                                    {22, {4}},
                                                    {23, {8}},
                                                    {24, {1, ElementType::f8_e5m2}},
                                                    {25, {1, ElementType::f8_e4m3}},
                                                    {29, {1}},
                                                    {30, {1}}};
  const auto found = table.find(number);
  return found == table.end() ? Dtype{} : found->second;
}

struct Entry {
  std::string name = {};
  std::uint64_t dtype = 0, elements = 1;
  std::uint64_t shard = 0, offset = 0, size = 0;
  std::uint32_t crc = 0;
  bool slices = false;  // its parts have entries of their own
};

struct Bundle {
  std::uint64_t shards = 0;
  bool big_endian = false, has_header = false;
  std::vector<Entry> entries = {};
};

class IndexReader {
 public:
  IndexReader(const FileBytes& file, Judgement& judgement)
      : file_(file), window_(file), judgement_(judgement) {}

  // False where the judgement failed.
  bool read() {
    if (file_.size() > kIndexMost) {
      judgement_.fail(ArtifactVerdict::unverified, "its index is larger than we read");
      return false;
    }
    const std::uint64_t end = file_.size() - kFooter;
    ByteWalk footer(window_, end, file_.size());
    const Handle meta = handle(footer), index = handle(footer);
    if (!footer.ok()) return no("the footer of its index is broken");
    if (!read_blocks(index) || !check_block(meta)) return false;
    // Blocks leave no gap: what a reader of the table would not see does not exist.
    blocks_.push_back(meta);
    blocks_.push_back(index);
    std::sort(blocks_.begin(), blocks_.end(),
              [](const Handle& a, const Handle& b) { return a.at < b.at; });
    std::uint64_t at = 0;
    for (const Handle& block : blocks_) {
      if (block.at != at) return no("the blocks of its index overlap or leave a gap");
      at += block.size + kTrailer;
    }
    if (at != end) return no("the blocks of its index overlap or leave a gap");
    return bundle.has_header || no("its index has no header");
  }
  const std::optional<Error>& trouble() const { return window_.trouble(); }

  Bundle bundle = {};

 private:
  struct Handle {
    std::uint64_t at = 0, size = 0;
  };
  static Handle handle(ByteWalk& walk) {
    const std::uint64_t at = walk.varint();
    return {at, walk.varint()};
  }

  bool no(const std::string& what) {
    judgement_.fail(ArtifactVerdict::corrupt, what);
    return false;
  }

  bool check_block(const Handle& block) {
    const std::uint64_t room = file_.size() - kFooter;
    if (block.size > kBlockMost || block.at > room || block.size > room - block.at ||
        room - block.at - block.size < kTrailer)
      return no("a block of its index lies outside of it");
    read_ += block.size;
    if (read_ > file_.size()) return no("the blocks of its index overlap or leave a gap");
    std::uint32_t crc = 0;
    char packed = 0;
    const std::uint64_t with_kind = block.size + 1;
    if (auto done = file_.for_each_piece(block.at, with_kind, {},
                                         [&](std::string_view bytes) {
                                           crc = crc32c(bytes, crc);
                                           packed = bytes.back();
                                         });
        !done)
      return no(done.error().message);
    ByteWalk trailer(window_, block.at + with_kind, block.at + with_kind + 4);
    if (trailer.number(4) != masked_crc32c(crc))
      return no("a block of its index, at byte " + std::to_string(block.at) +
                ", does not match its CRC-32C");
    if (packed == 0) return true;
    judgement_.fail(ArtifactVerdict::unverified,
                    "its index is packed, which TensorFlow does not do");
    return false;
  }

  // Keys are told as what they share with the one before, and the rest.
  template <class Take>
  bool each_pair(const Handle& block, Take take) {
    if (!check_block(block)) return false;
    ByteWalk tail(window_, block.at + block.size - std::min<std::uint64_t>(4, block.size),
                  block.at + block.size);
    const std::uint64_t restarts = tail.number(4);
    if (!tail.ok() || restarts > block.size / 4 - 1)
      return no("the restarts of a block of its index are broken");
    ByteWalk walk(window_, block.at, block.at + block.size - 4 * (restarts + 1));
    std::string key;
    while (walk.left() > 0) {
      const std::uint64_t shared = walk.varint(), rest = walk.varint(), size = walk.varint();
      if (!walk.ok() || shared > key.size() || shared + rest > kKeyMost)
        return no("a key of its index is broken");
      key.resize(static_cast<std::size_t>(shared));
      key += walk.text(rest, kKeyMost);
      const std::uint64_t at = walk.at();
      walk.skip(size);
      if (!walk.ok()) return no("an entry of its index is broken");
      if (!take(key, at, size)) return false;
    }
    return true;
  }

  bool read_blocks(const Handle& index) {
    return each_pair(index, [&](const std::string&, std::uint64_t at, std::uint64_t size) {
      ByteWalk walk(window_, at, at + size);
      const Handle block = handle(walk);
      if (!walk.ok()) return no("its index names a block that is none");
      blocks_.push_back(block);
      return each_pair(block, [&](const std::string& key, std::uint64_t value,
                                  std::uint64_t bytes) { return read_entry(key, value, bytes); });
    });
  }

  bool read_entry(const std::string& key, std::uint64_t at, std::uint64_t size) {
    if (bundle.has_header && key <= last_key_) return no("the keys of its index are out of order");
    last_key_ = key;
    if (!bundle.has_header)
      return key.empty() ? read_header(at, size) : no("its index has no header");
    if (bundle.entries.size() >= kEntriesMost) return no("it has more tensors than any model");
    Entry entry;
    entry.name = clean_line(key, 80);
    ProtoWalk walk(window_, at, size);
    while (const auto field = walk.next()) {
      switch (field->number) {
        case 1: entry.dtype = field->value; break;
        case 2:
          if (!read_shape(entry, *field)) return false;
          break;
        case 3: entry.shard = field->value; break;
        case 4: entry.offset = field->value; break;
        case 5: entry.size = field->value; break;
        case 6: entry.crc = static_cast<std::uint32_t>(field->value); break;
        case 7: entry.slices = true; break;
        default: break;
      }
    }
    if (!walk.ok()) return no("the entry of " + entry.name + " is broken");
    if (!check_entry(entry)) return false;
    bundle.entries.push_back(std::move(entry));
    return true;
  }

  bool read_header(std::uint64_t at, std::uint64_t size) {
    ProtoWalk walk(window_, at, size);
    while (const auto field = walk.next()) {
      if (field->number == 1) bundle.shards = field->value;
      if (field->number == 2) bundle.big_endian = field->value == 1;
    }
    bundle.has_header = true;
    return (walk.ok() && bundle.shards > 0 && bundle.shards <= kShardsMost) ||
           no("its index names no plausible number of shards");
  }

  bool read_shape(Entry& entry, const ProtoField& field) {
    if (field.wire != Wire::bytes) return no("the shape of " + entry.name + " is broken");
    ProtoWalk shape(window_, field);
    std::size_t rank = 0;
    while (const auto dim = shape.next()) {
      if (dim->number != 2 || dim->wire != Wire::bytes) continue;
      std::uint64_t size = 0;
      ProtoWalk walk(window_, *dim);
      while (const auto part = walk.next()) {
        if (part->number == 1) size = part->value;
      }
      if (!walk.ok() || ++rank > kRankMost || size > (std::uint64_t{1} << 62) ||
          __builtin_mul_overflow(entry.elements, size, &entry.elements))
        return no("the shape of " + entry.name + " is none");
    }
    return shape.ok() || no("the shape of " + entry.name + " is broken");
  }

  bool check_entry(const Entry& entry) {
    if (entry.slices) return true;
    if (entry.shard >= bundle.shards) return no(entry.name + " is in a shard that does not exist");
    const Dtype dtype = dtype_of(entry.dtype);
    if (entry.dtype == kDtString) return true;
    if (dtype.bytes == 0) {
      judgement_.fail(ArtifactVerdict::unverified, entry.name + " has type " +
                                                       std::to_string(entry.dtype) +
                                                       ", whose bytes are not known here");
      return false;
    }
    std::uint64_t need = 0;
    if (__builtin_mul_overflow(entry.elements, dtype.bytes, &need) || need != entry.size)
      return no(entry.name + " has " + std::to_string(entry.size) + " bytes, its shape needs " +
                std::to_string(need));
    return true;
  }

  const FileBytes& file_;
  ByteWindow window_;
  Judgement& judgement_;
  std::vector<Handle> blocks_ = {};
  std::uint64_t read_ = 0;  // bytes of blocks: none is worth reading twice
  std::string last_key_ = {};
};

std::string shard_name(const std::string& prefix, std::uint64_t shard, std::uint64_t shards) {
  std::array<char, 64> ending{};
  std::snprintf(ending.data(), ending.size(), ".data-%05llu-of-%05llu",
                static_cast<unsigned long long>(shard), static_cast<unsigned long long>(shards));
  return prefix + ending.data();
}

// One shard's tensors: their places, then their bytes.
class ShardReader {
 public:
  ShardReader(const FileBytes& file, bool big_endian, std::stop_token stop, Judgement& judgement)
      : file_(file), big_endian_(big_endian), stop_(std::move(stop)), judgement_(judgement) {}

  // Sorted by place. Tensors with no elements have any place.
  void check_places(const std::vector<const Entry*>& entries, const std::string& shard) {
    std::uint64_t end = 0;
    for (const Entry* entry : entries) {
      if (entry->size == 0) continue;
      if (entry->offset > file_.size() || entry->size > file_.size() - entry->offset)
        return judgement_.fail(ArtifactVerdict::corrupt,
                               entry->name + " ends outside of " + shard + ": it was cut");
      if (entry->offset < end)
        return judgement_.fail(ArtifactVerdict::corrupt,
                               entry->name + " overlaps the tensor before it in " + shard);
      end = entry->offset + entry->size;
    }
    if (end < file_.size())
      judgement_.warn(std::to_string(file_.size() - end) + " bytes at the end of " + shard +
                      " belong to no tensor");
  }

  Result<void> prove(const Entry& entry, ValueTotals& totals) {
    std::uint32_t crc = 0;
    ValueScan scan(dtype_of(entry.dtype).type, big_endian_);
    if (entry.dtype == kDtString) {
      auto strings = crc_of_strings(entry);
      if (!strings) return strings.error();
      crc = *strings;
    } else if (auto done = file_.for_each_piece(entry.offset, entry.size, stop_,
                                                [&](std::string_view bytes) {
                                                  crc = crc32c(bytes, crc);
                                                  scan.feed(bytes);
                                                });
               !done) {
      return done;
    }
    if (judgement_.failed()) return {};
    if (masked_crc32c(crc) != entry.crc) {
      judgement_.fail(ArtifactVerdict::corrupt,
                      "CRC-32C of " + entry.name +
                          " does not match: its bytes are not those that were written");
    } else if (entry.dtype != kDtString) {
      totals.add({scan.not_finite(), scan.all_zero()}, entry.size, entry.name);
    }
    return {};
  }

 private:
  // The lengths as varints, a masked CRC-32C of them as 32-bit numbers, the texts. The entry's CRC
  // is over the numbers, that CRC and the texts.
  Result<std::uint32_t> crc_of_strings(const Entry& entry) {
    ByteWindow window(file_);
    ByteWalk walk(window, entry.offset, entry.offset + entry.size);
    std::uint32_t crc = 0;
    std::uint64_t total = 0;
    if (entry.elements > kStringsMost || entry.elements > entry.size)
      return broken(entry, "has more texts than bytes");
    for (std::uint64_t i = 0; i < entry.elements; ++i) {
      const std::uint64_t length = walk.varint();
      if (!walk.ok() || __builtin_add_overflow(total, length, &total))
        return broken(entry, "has broken lengths");
      std::array<char, 8> number{};
      const std::size_t width = length <= 0xFFFFFFFFu ? 4 : 8;
      for (std::size_t byte = 0; byte < width; ++byte)
        number[byte] = static_cast<char>(length >> (8 * byte));
      crc = crc32c({number.data(), width}, crc);
    }
    const std::uint64_t said = walk.number(4);
    if (!walk.ok() || said != masked_crc32c(crc))
      return broken(entry, "has lengths that do not match their CRC-32C");
    std::array<char, 4> bytes{};
    for (std::size_t byte = 0; byte < 4; ++byte)
      bytes[byte] = static_cast<char>(said >> (8 * byte));
    crc = crc32c({bytes.data(), 4}, crc);
    if (walk.left() != total)
      return broken(entry, "has texts of another size than its lengths say");
    if (auto done = file_.for_each_piece(walk.at(), total, stop_,
                                         [&](std::string_view text) { crc = crc32c(text, crc); });
        !done)
      return done.error();
    return crc;
  }
  std::uint32_t broken(const Entry& entry, const std::string& what) {
    judgement_.fail(ArtifactVerdict::corrupt, entry.name + " " + what);
    return 0;
  }

  const FileBytes& file_;
  const bool big_endian_;
  const std::stop_token stop_;
  Judgement& judgement_;
};

bool is_plain_file(const std::filesystem::path& path) {
  std::error_code gone;  // links are not followed
  return std::filesystem::is_regular_file(std::filesystem::symlink_status(path, gone));
}

Result<void> check_shard(const FileBytes& file, const std::string& shown, std::uint64_t number,
                         const Bundle& bundle, Depth depth, std::stop_token stop,
                         ValueTotals& totals, Judgement& judgement) {
  std::vector<const Entry*> entries;
  for (const Entry& entry : bundle.entries) {
    if (!entry.slices && entry.shard == number) entries.push_back(&entry);
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry* a, const Entry* b) { return a->offset < b->offset; });
  ShardReader reader(file, bundle.big_endian, std::move(stop), judgement);
  reader.check_places(entries, shown);
  for (std::size_t i = 0; depth >= Depth::checksums && i < entries.size(); ++i) {
    if (judgement.failed()) break;
    if (auto done = reader.prove(*entries[i], totals); !done) return done;
  }
  return {};
}

// What was proven, where all of it was.
void conclude(Depth depth, const ValueTotals& totals, Judgement& judgement) {
  if (judgement.failed()) return;
  judgement.reached(depth < Depth::checksums ? Depth::structure : Depth::checksums);
  if (depth < Depth::values) return;
  report_values(totals, judgement);
  judgement.reached(Depth::values);
}

Result<void> check_shards(const Bundle& bundle, const std::string& prefix, Depth depth,
                          std::stop_token stop, Judgement& judgement) {
  ValueTotals totals;
  for (std::uint64_t i = 0; i < bundle.shards && !judgement.failed(); ++i) {
    const std::filesystem::path path = shard_name(prefix, i, bundle.shards);
    const std::string shown = clean_line(path.filename().string(), 120);
    if (!is_plain_file(path)) {
      judgement.fail(ArtifactVerdict::incomplete, shown + ", which holds its tensors, is missing");
      return {};
    }
    const auto file = FileBytes::open(path);
    if (!file) return file.error();
    if (auto done = check_shard(*file, shown, i, bundle, depth, stop, totals, judgement); !done)
      return done;
    if (!judgement.failed() && !file->unchanged())
      judgement.fail(ArtifactVerdict::incomplete, shown + " was written to while it was checked");
  }
  conclude(depth, totals, judgement);
  return {};
}

bool ends_like_table(const FileBytes& file) {
  if (file.size() < kFooter) return false;
  const auto tail = file.read(file.size() - 8, 8);
  return tail && Cursor(*tail).little(8) == kMagic;
}

bool has_shard(const std::filesystem::path& prefix) {
  std::error_code error;
  const auto folder = prefix.has_parent_path() ? prefix.parent_path() : ".";
  const std::string begin = prefix.filename().string() + ".data-";
  for (auto at = std::filesystem::directory_iterator(folder, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    if (at->path().filename().string().starts_with(begin)) return true;
  }
  return false;
}

}  // namespace

bool names_tf_shard(std::string_view file_name) {
  // .data-00000-of-00001
  constexpr std::string_view kPattern = ".data-00000-of-00000";
  if (file_name.size() <= kPattern.size()) return false;
  const std::string_view ending = file_name.substr(file_name.size() - kPattern.size());
  for (std::size_t i = 0; i < kPattern.size(); ++i) {
    const bool digit = ending[i] >= '0' && ending[i] <= '9';
    if (kPattern[i] == '0' ? !digit : ending[i] != kPattern[i]) return false;
  }
  return true;
}

// By its index, if that is next to it; for its own tensors only.
Result<void> read_tf_shard(const FileBytes& file, Depth depth, std::stop_token stop,
                           ArtifactReport& report) {
  report.format = "tf_shard";
  report.reader = "tf_bundle/1";
  Judgement judgement(report);
  const std::string prefix = report.path.substr(0, report.path.rfind(".data-"));
  const std::uint64_t number =
      parse_uint(std::string_view(report.path).substr(prefix.size() + 6, 5)).value_or(0);
  if (!is_plain_file(prefix + ".index")) {
    judgement.fail(ArtifactVerdict::unverified,
                   "a shard of a TensorFlow checkpoint: only its .index file says what is in it, "
                   "and that is not next to it");
    return {};
  }
  const auto index_file = FileBytes::open(prefix + ".index");
  if (!index_file) return index_file.error();
  if (!ends_like_table(*index_file))
    return judgement.fail(ArtifactVerdict::unverified, "its .index file is broken"), Result<void>();
  IndexReader index(*index_file, judgement);
  const bool sound = index.read();
  if (index.trouble()) return *index.trouble();
  if (!sound) return {};
  const Bundle& bundle = index.bundle;
  if (shard_name(prefix, number, bundle.shards) != report.path) {
    judgement.fail(ArtifactVerdict::corrupt, "its .index file is of a checkpoint of " +
                                                 std::to_string(bundle.shards) +
                                                 " shards, and this is none of them");
    return {};
  }
  for (const Entry& entry : bundle.entries) {
    const bool counts = !entry.slices && entry.dtype != kDtString && entry.shard == number;
    report.tensors += counts;
    if (counts && __builtin_add_overflow(report.parameters, entry.elements, &report.parameters))
      return judgement.fail(ArtifactVerdict::corrupt, "its shapes overflow"), Result<void>();
  }
  report.verdict = ArtifactVerdict::ok;
  ValueTotals totals;
  if (auto done =
          check_shard(file, "it", number, bundle, depth, std::move(stop), totals, judgement);
      !done)
    return done;
  conclude(depth, totals, judgement);
  return {};
}

Result<void> read_tf_bundle(const FileBytes& file, Depth depth, std::stop_token stop,
                            ArtifactReport& report) {
  report.format = "tf_bundle";
  report.reader = "tf_bundle/1";
  Judgement judgement(report);
  const std::string prefix = report.path.substr(0, report.path.rfind('.'));
  if (!ends_like_table(file)) {
    if (has_shard(prefix)) {
      judgement.fail(ArtifactVerdict::corrupt,
                     "it does not end like the index of a TensorFlow checkpoint: it was cut");
      return {};
    }
    report.format = "plain";
    report.reader = "plain/1";
    judgement.fail(ArtifactVerdict::unverified,
                   "no index of a TensorFlow checkpoint: only its digest can be compared");
    return {};
  }
  IndexReader index(file, judgement);
  const bool sound = index.read();
  if (index.trouble()) return *index.trouble();
  if (!sound) return {};
  const Bundle& bundle = index.bundle;
  for (const Entry& entry : bundle.entries) {
    if (entry.slices || entry.dtype == kDtString) continue;
    ++report.tensors;
    if (__builtin_add_overflow(report.parameters, entry.elements, &report.parameters))
      return judgement.fail(ArtifactVerdict::corrupt, "its shapes overflow"), Result<void>();
  }
  if (report.tensors == 0)
    return judgement.fail(ArtifactVerdict::incomplete, "it holds no tensor"), Result<void>();
  report.verdict = ArtifactVerdict::ok;
  return check_shards(bundle, prefix, depth, std::move(stop), judgement);
}

}  // namespace rgt
