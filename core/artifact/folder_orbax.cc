// SPDX-License-Identifier: MIT
// Orbax (JAX): what can be proven without its store's own code. The name of an unfinished save,
// its metadata, the checksum of an OCDBT manifest, and zarr v2 arrays: all chunks there, and their
// sizes where they are not compressed. Sources: orbax.checkpoint docs; tensorstore,
// kvstore/ocdbt/index.rst; zarr, spec v2.
#include <algorithm>
#include <limits>

#include "core/artifact/crc32c.h"
#include "core/artifact/file_bytes.h"
#include "core/artifact/folder.h"
#include "core/artifact/json_walk.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kTextMost = 16u << 20;      // bytes: metadata of a large tree
constexpr std::uint64_t kManifestMost = 64u << 20;  // bytes: it holds versions, not values
constexpr std::uint64_t kChunksMost = 200000;       // of one array
constexpr std::size_t kDimensionsMost = 32;         // zarr's own limit

constexpr std::string_view kUnfinished = ".orbax-checkpoint-tmp";

using Sizes = std::vector<std::uint64_t>;

struct ZarrArray {
  Sizes shape = {}, chunks = {};
  std::uint64_t item_size = 0;  // 0: of a type we do not know
  std::string separator = ".";
  bool compressed = true;  // until it says otherwise
  bool filtered = false;
  bool is_v2 = false;
};

// "<f4", "|u1", "bfloat16"
std::uint64_t item_size(std::string_view type) {
  if (type == "bfloat16") return 2;
  if (type.starts_with("float8_") || type == "int4" || type == "uint4") return 1;
  if (type.size() < 3 || std::string_view("<>|").find(type[0]) == std::string_view::npos) return 0;
  const auto size = parse_uint(type.substr(2));
  return size && *size <= 1024 && std::string_view("biufc").find(type[1]) != std::string_view::npos
             ? *size
             : 0;
}

std::optional<ZarrArray> parse_array(std::string_view text, const std::string& name,
                                     Judgement& judgement) {
  ZarrArray array;
  std::string wrong;
  const auto done = walk_json(text, [&](const JsonPath& path, const JsonScalar& value) {
    if (path.empty()) return;
    if (path[0] == "shape" || path[0] == "chunks") {
      Sizes& sizes = path[0] == "shape" ? array.shape : array.chunks;
      if (path.size() != 2 || !value.in_list || value.kind != JsonScalar::Kind::integer ||
          value.integer < 0 || sizes.size() == kDimensionsMost)
        wrong = "its " + path[0] + " is no list of sizes";
      else
        sizes.push_back(static_cast<std::uint64_t>(value.integer));
    }
    if (path[0] == "filters") array.filtered |= value.kind != JsonScalar::Kind::null;
    if (path.size() != 1) return;
    if (path[0] == "compressor") array.compressed = value.kind != JsonScalar::Kind::null;
    if (path[0] == "dtype") array.item_size = item_size(value.text);
    if (path[0] == "dimension_separator") array.separator = std::string(value.text.substr(0, 1));
    if (path[0] == "zarr_format") array.is_v2 = value.integer == 2;
  });
  if (!done) wrong = done.error().message;
  if (wrong.empty() && (!array.is_v2 || array.shape.size() != array.chunks.size() ||
                        std::count(array.chunks.begin(), array.chunks.end(), 0u) > 0))
    wrong = "it describes no zarr array";
  if (wrong.empty()) return array;
  judgement.fail(ArtifactVerdict::corrupt, name + ": " + wrong);
  return std::nullopt;
}

class OrbaxReader {
 public:
  explicit OrbaxReader(const FolderCheck& check) : check_(check), judgement_(check.judgement) {}

  Result<void> read() {
    if (check_.folder.names.name.find(kUnfinished) != std::string::npos)
      judgement_.fail(ArtifactVerdict::incomplete,
                      "its name is of an unfinished save: it is renamed when it is whole");
    for (const auto& [name, report] : check_.folder.sets) judge_set(check_, name);
    for (const auto& [name, file] : check_.folder.files) {
      const std::string last = name.substr(name.rfind('/') + 1);
      Result<void> done;
      if (last == "_CHECKPOINT_METADATA") done = read_commit(name);
      if (last == "_METADATA" || last == "_sharding") done = read_json_file(name);
      if (last == "manifest.ocdbt") done = read_manifest(name);
      if (last == ".zarray") done = read_array(name);
      if (!done) return done;
    }
    if (!judgement_.failed()) conclude();
    return {};
  }

 private:
  ArtifactReport& member(const std::string& name) {
    return *check_.folder.files.find(name)->second;
  }

  Result<void> read_json_file(const std::string& name) {
    const auto text = member_text(check_, name, kTextMost);
    if (!text) return text.error();
    if (!*text) return {};
    const auto done = walk_json(**text, [](const JsonPath&, const JsonScalar&) {});
    if (!done)
      judgement_.fail(ArtifactVerdict::corrupt, shown(name) + ": " + done.error().message);
    else
      prove_member(member(name), Depth::structure, "it is whole JSON");
    return {};
  }

  // A save that was never committed has no time of it.
  Result<void> read_commit(const std::string& name) {
    const auto text = member_text(check_, name, kTextMost);
    if (!text) return text.error();
    if (!*text) return {};
    bool committed = true;
    const auto done = walk_json(**text, [&](const JsonPath& path, const JsonScalar& value) {
      if (path == JsonPath{"commit_timestamp_nsecs"})
        committed = value.is_number() && value.real > 0;
    });
    if (!done) {
      judgement_.fail(ArtifactVerdict::corrupt, shown(name) + ": " + done.error().message);
    } else if (!committed) {
      judgement_.fail(ArtifactVerdict::incomplete, shown(name) + ": the save was not committed");
    } else {
      prove_member(member(name), Depth::structure,
                   "it is whole JSON, of a save that was committed");
    }
    return {};
  }

  // Magic, length (header and checksum too), ..., CRC-32C of all before it.
  Result<void> read_manifest(const std::string& name) {
    ++manifests_;
    const auto bytes = member_text(check_, name, kManifestMost);
    if (!bytes) return bytes.error();
    if (!*bytes) return {};
    const std::string& text = **bytes;
    Cursor head(text);
    const bool magic = head.take(4) == std::string_view("\x0c\xdb\x3a\x2a", 4);
    const std::uint64_t length = head.little(8);
    if (!magic || length != text.size() || text.size() < 16) {
      judgement_.fail(magic ? ArtifactVerdict::incomplete : ArtifactVerdict::corrupt,
                      shown(name) + (magic ? " says it has " + std::to_string(length) +
                                                 " bytes, it has " + std::to_string(text.size())
                                           : " is no OCDBT manifest"));
      return {};
    }
    const std::size_t body = text.size() - 4;
    const std::uint64_t said = Cursor(std::string_view(text).substr(body)).little(4);
    if (crc32c(std::string_view(text).substr(0, body)) != said)
      judgement_.fail(ArtifactVerdict::corrupt, shown(name) + " does not have its own checksum");
    else
      prove_member(member(name), Depth::checksums, "its CRC-32C is right");
    return {};
  }

  Result<void> read_array(const std::string& name) {
    ++arrays_;
    const auto text = member_text(check_, name, kTextMost);
    if (!text) return text.error();
    if (!*text) return {};
    const std::string folder = name.substr(0, name.size() - std::string_view(".zarray").size());
    const auto array = parse_array(**text, shown(name), judgement_);
    if (!array) return {};
    if (check_chunks(folder, *array))
      prove_member(member(name), Depth::structure, "every chunk that it describes is there");
    return {};
  }

  // Chunks are numbered along each dimension: "0.2", or "0/2"; one without dimensions is "0".
  bool check_chunks(const std::string& folder, const ZarrArray& array) {
    const std::string shown_array = "array " + shown(folder.empty() ? "." : folder);
    Sizes counts;
    std::uint64_t all = 1, bytes = array.item_size;
    bool overflow = false;
    for (std::size_t i = 0; i < array.shape.size(); ++i) {
      counts.push_back(array.shape[i] / array.chunks[i] + (array.shape[i] % array.chunks[i] > 0));
      overflow |= __builtin_mul_overflow(all, counts.back(), &all);
      overflow |= __builtin_mul_overflow(bytes, array.chunks[i], &bytes);
    }
    chunks_ += overflow ? kChunksMost : std::min(all, kChunksMost);
    if (overflow || all > kChunksMost || chunks_ > kChunksMost) {
      judgement_.fail(ArtifactVerdict::unverified,
                      shown_array + " has more chunks than we look at");
      return false;
    }
    const bool sized = !array.compressed && !array.filtered && array.item_size > 0;
    compressed_ += !sized;
    std::uint64_t missing = 0;
    std::string first;
    for (std::uint64_t i = 0; i < all; ++i) {
      const std::string chunk = folder + chunk_name(i, counts, array.separator);
      const auto found = check_.folder.files.find(chunk);
      if (found == check_.folder.files.end()) {
        if (missing++ == 0) first = chunk;
      } else if (sized && found->second->size != bytes) {
        judgement_.fail(ArtifactVerdict::corrupt,
                        "chunk " + shown(chunk) + " has " + std::to_string(found->second->size) +
                            " bytes, " + std::to_string(bytes) + " are expected");
        return false;
      } else if (sized) {
        prove_member(*found->second, Depth::structure,
                     "a chunk of " + shown_array + ", of the right size; it has no checksum");
      }
    }
    if (missing == 0) return true;
    // A reader takes the fill value for a chunk that is not there, without a word.
    judgement_.fail(ArtifactVerdict::incomplete,
                    std::to_string(missing) + " of " + std::to_string(all) + " chunks of " +
                        shown_array + " are missing, the first is " + shown(first));
    return false;
  }
  static std::string chunk_name(std::uint64_t number, const Sizes& counts,
                                const std::string& separator) {
    if (counts.empty()) return "0";
    std::vector<std::string> parts(counts.size());
    for (std::size_t i = counts.size(); i > 0; --i) {
      parts[i - 1] = std::to_string(number % counts[i - 1]);
      number /= counts[i - 1];
    }
    return join(parts, separator);
  }

  void conclude() {
    if (manifests_ > 0)
      return judgement_.fail(
          ArtifactVerdict::unverified,
          "its values are in an OCDBT store: the checksums of its manifests are right, its "
          "tree and values are not read");
    if (compressed_ > 0)
      return judgement_.fail(
          ArtifactVerdict::unverified,
          std::to_string(compressed_) + " of " + std::to_string(arrays_) +
              " arrays are compressed: all chunks are there, their bytes are not "
              "unpacked");
    if (arrays_ == 0 && check_.folder.sets.empty())
      return judgement_.fail(ArtifactVerdict::unverified,
                             "it has no array in a layout that is known here");
    if (arrays_ == 0) return;
    judgement_.warn(
        "zarr arrays have no checksums: damage in their values cannot be seen without a "
        "digest");
    judgement_.info("all chunks of " + std::to_string(arrays_) + " arrays are there");
  }

  const FolderCheck& check_;
  Judgement& judgement_;
  std::uint64_t manifests_ = 0, arrays_ = 0, compressed_ = 0, chunks_ = 0;
};

}  // namespace

bool is_orbax(const FolderNames& names) {
  return names.name.find(kUnfinished) != std::string::npos || names.has("_CHECKPOINT_METADATA") ||
         names.has("_METADATA") ||
         (names.has("manifest.ocdbt") && !names.name.starts_with("ocdbt.process_"));
}

Result<void> read_orbax(const FolderCheck& check) { return OrbaxReader(check).read(); }

}  // namespace rgt
