// SPDX-License-Identifier: MIT
#include "tests/core/artifact/known_values.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/artifact/reader.h"
#include "core/artifact/torch_model.h"
#include "core/artifact/zip_archive.h"
#include "core/base/digest.h"
#include "core/base/json.h"
#include "tests/fuzz/memory_file.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

std::string dump(const Pickle& pickle) {
  std::string text;
  for (const PickleValue& value : pickle.values) {
    text += std::to_string(static_cast<int>(value.kind)) + " " + std::to_string(value.integer) +
            " " + value.text + "(";
    for (const PickleRef item : value.items) text += std::to_string(item) + ",";
    text += ")";
  }
  return text + std::to_string(pickle.root);
}

// What the loaders make of an archive: its pickles, the storages they name, the byte order, the
// code. Other records (versions, alignment, debug lines) change no value.
std::string values_of_zip(const FileBytes& file) {
  const auto zip = ZipArchive::open(file);
  const std::string root = zip->entries()[0].name.substr(0, zip->entries()[0].name.find('/')) + "/";
  const auto content = [&](const std::string& name) {
    std::string bytes;
    const ZipEntry* entry = zip->find(root + name);
    if (entry == nullptr) return std::string("absent");
    const auto read = zip->read(*entry, {}, [&](std::string_view piece) { bytes += piece; });
    return read ? bytes : std::string("unreadable");
  };
  std::string values = content("byteorder") == "big" ? "big" : "little";
  for (const std::string folder : {"data", "constants"}) {
    const auto pickle = read_pickle(content(folder + ".pkl"));
    if (!pickle) continue;
    ArtifactReport ignored;
    Judgement judgement(ignored);
    values += dump(*pickle);
    for (const auto& [key, storage] : read_torch_model(*pickle, folder, judgement).storages)
      values += key + sha256_hex(content(folder + "/" + key));
  }
  std::map<std::string, std::string> code;
  for (const ZipEntry& entry : zip->entries()) {
    if (entry.name.starts_with(root + "code/") && entry.name.ends_with(".py"))
      code[entry.name] = content(entry.name.substr(root.size()));
  }
  for (const auto& [name, text] : code) values += name + sha256_hex(text);
  return values;
}

struct Legacy {
  std::vector<Pickle> pickles = {};
  std::vector<std::size_t> edges = {};
  std::string values = {};
};

Legacy read_legacy(std::string_view bytes) {
  Legacy legacy;
  std::size_t at = 0;
  for (int i = 0; i < 5; ++i) {
    auto pickle = read_pickle(bytes.substr(at));
    if (!pickle) return legacy;
    at += pickle->size;
    legacy.edges.push_back(at);
    legacy.pickles.push_back(std::move(*pickle));
  }
  ArtifactReport ignored;
  Judgement judgement(ignored);
  const TorchModel model = read_torch_model(legacy.pickles[3], "object", judgement);
  legacy.values = dump(legacy.pickles[3]);
  const Pickle& keys = legacy.pickles[4];
  for (const PickleRef ref : keys.values[keys.root].items) {
    const std::string& key = keys.values[ref].text;
    const auto storage = model.storages.find(key);
    if (storage == model.storages.end()) return legacy;
    const std::size_t size = storage->second.count * storage->second.element_size;
    legacy.edges.insert(legacy.edges.end(), {at + 8, at + 8 + size});
    legacy.values += key + sha256_hex(bytes.substr(std::min(at + 8, bytes.size()), size));
    at += 8 + size;
  }
  return legacy;
}

std::string values_of_safetensors(std::string_view bytes) {
  const std::size_t header = Cursor(bytes).little(8);
  const auto json = Json::parse(bytes.substr(8, header));
  std::string values;
  for (const auto& [name, tensor] : json.items()) {
    values += name;
    if (name == "__metadata__") {
      values += tensor.dump();
      continue;
    }
    const std::size_t begin = tensor["data_offsets"][0], end = tensor["data_offsets"][1];
    values += tensor["dtype"].dump() + tensor["shape"].dump() +
              sha256_hex(bytes.substr(8 + header + begin, end - begin));
  }
  return values;
}

// The members that a loader opens: of a Keras file two, of any other all.
std::string values_of_members(const FileBytes& file, bool keras) {
  const auto zip = ZipArchive::open(file);
  std::map<std::string, std::string> members;
  for (const ZipEntry& entry : zip->entries()) {
    if (keras && entry.name != "config.json" && entry.name != "model.weights.h5") continue;
    std::string bytes;
    const auto read = zip->read(entry, {}, [&](std::string_view piece) { bytes += piece; });
    members[entry.name] = read ? sha256_hex(bytes) : "unreadable";
  }
  std::string values;
  for (const auto& [name, digest] : members) values += name + digest;
  return values;
}

struct Stream {
  std::vector<std::string> records = {};
  std::vector<std::size_t> edges = {};
};

// A TFRecord stream: length, its CRC, bytes, their CRC.
Stream read_stream(std::string_view bytes) {
  Stream stream;
  std::size_t at = 0;
  while (bytes.size() - at >= 16) {
    const std::uint64_t length = Cursor(bytes.substr(at)).little(8);
    if (length > bytes.size() - at - 16) break;
    stream.records.emplace_back(bytes.substr(at + 12, length));
    stream.edges.insert(stream.edges.end(), {at + 12, at + 12 + length, at + 16 + length});
    at += 16 + length;
  }
  return stream;
}

bool is_stream(const std::string& format) { return format == "tf_events" || format == "tfrecord"; }

}  // namespace

bool is_zip(const std::string& format) {
  static const std::set<std::string> kZips{"pytorch_zip", "torchscript", "npz", "keras"};
  return kZips.contains(format);
}

bool has_checksums(const std::string& format) { return is_zip(format) || is_stream(format); }

std::string values_of(const std::string& format, const fs::path& path, std::string_view bytes) {
  if (format == "safetensors") return values_of_safetensors(bytes);
  if (format == "pytorch_legacy") return read_legacy(bytes).values;
  if (!is_zip(format)) return std::string(bytes);
  const auto file = FileBytes::open(path);
  return format == "npz" || format == "keras" ? values_of_members(*file, format == "keras")
                                              : values_of_zip(*file);
}

bool only_whole_parts(const std::string& format, std::string_view original,
                      std::string_view damaged) {
  if (!is_stream(format)) return false;
  const auto known = read_stream(original).records;
  const auto found = read_stream(damaged);
  const std::set<std::string> all(known.begin(), known.end());
  return (found.edges.empty() ? 0 : found.edges.back()) == damaged.size() &&
         std::all_of(found.records.begin(), found.records.end(),
                     [&](const std::string& record) { return all.contains(record); });
}

std::vector<std::size_t> edges_of(const std::string& format, const fs::path& path,
                                  std::string_view bytes) {
  std::vector<std::size_t> edges{0, bytes.size()};
  const auto add = [&](const std::vector<std::size_t>& more) {
    edges.insert(edges.end(), more.begin(), more.end());
  };
  if (format == "safetensors") {
    const std::size_t data = 8 + Cursor(bytes).little(8);
    add({8, data});
    for (const auto& tensor : Json::parse(bytes.substr(8, data - 8)).get<Json::object_t>())
      if (tensor.second.contains("data_offsets"))
        edges.push_back(data + tensor.second["data_offsets"][1].get<std::size_t>());
  } else if (format == "pytorch_legacy") {
    add(read_legacy(bytes).edges);
  } else if (is_zip(format)) {
    const auto file = FileBytes::open(path);
    const auto zip = ZipArchive::open(*file);
    for (const ZipEntry& entry : zip->entries())
      add({entry.header, entry.data, entry.data + entry.packed, entry.end});
  } else if (is_stream(format)) {
    add(read_stream(bytes).edges);
  } else {  // no parts known: a head that says what comes, and the rest
    for (const std::size_t edge : {8, 32, 64, 128, 512})
      if (edge < bytes.size()) edges.push_back(edge);
  }
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  return edges;
}

}  // namespace rgt
