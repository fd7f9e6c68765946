// SPDX-License-Identifier: MIT
// PyTorch's zip checkpoint (torch >= 1.6): `<root>/data.pkl` describes the objects,
// `<root>/data/<key>` holds each storage. torch.load checks no record's CRC-32, so a flipped byte
// loads there; here it does not.
#include <algorithm>
#include <optional>

#include "core/artifact/format.h"
#include "core/artifact/sweep.h"
#include "core/artifact/torch_model.h"
#include "core/artifact/zip_archive.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kPickleMost = 64u << 20;  // bytes: the largest models take a few MB

struct Archive {
  const FileBytes& file;
  ZipArchive zip;
  std::string root = {};
  bool little = true;
  bool script = false;

  // Empty for a record that is no storage.
  std::string_view storage_key(const ZipEntry& entry) const {
    const std::string folder = root + "/data/";
    return entry.name.starts_with(folder) ? std::string_view(entry.name).substr(folder.size())
                                          : std::string_view();
  }
};

Result<std::string> read_small(const ZipArchive& zip, const ZipEntry& entry, std::stop_token stop) {
  std::string bytes;
  if (auto done = zip.read(entry, stop, [&](std::string_view piece) { bytes += piece; }); !done)
    return done.error();
  return bytes;
}

bool is_damage(const Error& error) {
  return error.code == Code::corrupt || error.code == Code::limit;
}

// A record that is not a storage is looked at for its CRC only.
ElementType type_of(const Archive& archive, const TorchModel& model, const ZipEntry& entry) {
  const auto storage = model.storages.find(archive.storage_key(entry));
  return storage == model.storages.end() ? ElementType::other : storage->second.type;
}

// The few deflated records, one after the other.
Result<ValueFacts> read_deflated(const Archive& archive, const TorchModel& model,
                                 const ZipEntry& entry, std::stop_token stop) {
  ValueScan values(type_of(archive, model, entry), !archive.little);
  if (auto done = archive.zip.read(entry, std::move(stop),
                                   [&](std::string_view bytes) { values.feed(bytes); });
      !done)
    return done.error();
  return ValueFacts{values.not_finite(), values.all_zero()};
}

// Every record's CRC, and the values of those that are storages, in one pass.
Result<void> read_records(const Archive& archive, const TorchModel& model, Depth depth,
                          std::stop_token stop, Judgement& judgement) {
  std::vector<const ZipEntry*> stored;
  std::vector<Region> regions;
  ValueTotals totals;
  const auto add = [&](const ZipEntry& entry, const ValueFacts& facts) {
    const auto key = archive.storage_key(entry);
    if (model.storages.contains(key))
      totals.add(facts, entry.plain, "storage " + clean_line(key, 40));
  };
  for (const ZipEntry* entry : archive.zip.in_file_order()) {
    if (entry->deflated) {
      const auto facts = read_deflated(archive, model, *entry, stop);
      if (!facts) return facts.error();
      add(*entry, *facts);
      continue;
    }
    stored.push_back(entry);
    regions.push_back(
        {entry->data, entry->plain, type_of(archive, model, *entry), !archive.little});
  }
  const auto facts = sweep(archive.file, regions, {.values = depth >= Depth::values}, stop);
  if (!facts) return facts.error();
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (auto same = archive.zip.check_crc(*stored[i], (*facts)[i].crc32); !same) return same;
    add(*stored[i], (*facts)[i].values);
  }
  if (!archive.zip.has_checksums())
    judgement.warn("it was saved without checksums, so damage in its values cannot be seen");
  judgement.reached(Depth::checksums);
  if (depth < Depth::values) return {};
  report_values(totals, judgement);
  judgement.reached(Depth::values);
  return {};
}

void check_storages(const Archive& archive, std::string_view folder, const TorchModel& model,
                    Judgement& judgement) {
  for (const auto& [key, storage] : model.storages) {
    const ZipEntry* entry = archive.zip.find(archive.root + "/" + std::string(folder) + key);
    std::uint64_t need = 0;
    if (entry == nullptr)
      return judgement.fail(ArtifactVerdict::corrupt,
                            "the record of storage " + clean_line(key, 40) + " is missing");
    if (__builtin_mul_overflow(storage.count, storage.element_size, &need) ||
        entry->plain != need) {
      return judgement.fail(ArtifactVerdict::corrupt, "storage " + clean_line(key, 40) + " has " +
                                                          std::to_string(entry->plain) +
                                                          " bytes, " + std::to_string(need) +
                                                          " are expected");
    }
  }
}

// torch refuses an archive without a version, and versions it does not know.
std::string version_trouble(const ZipArchive& zip, const std::string& root, std::stop_token stop) {
  const ZipEntry* entry = zip.find(root + "/version");
  if (entry == nullptr) entry = zip.find(root + "/.data/version");
  if (entry == nullptr || entry->plain > 20)
    return "the archive has no version record, so torch does not load it";
  const auto text = read_small(zip, *entry, stop);
  if (!text) return text.error().message;
  const auto version = parse_uint(trim(*text));
  // torch 2.14 writes 3 and reads 1 to 10.
  return version && *version >= 1 && *version <= 10
             ? ""
             : "the archive has a version that torch does not know";
}

// Small records that hold a pickle or might be taken for one. torch finds names whatever their
// case, so DATA.PKL is one of them.
Result<void> judge_other_pickles(const Archive& archive, const TorchModel& model,
                                 std::stop_token stop, Judgement& judgement) {
  std::uint64_t orphans = 0;
  for (const ZipEntry& entry : archive.zip.entries()) {
    const auto key = archive.storage_key(entry);
    if (model.storages.contains(key)) continue;
    orphans += !key.empty();
    if (entry.name == archive.root + "/data.pkl" || entry.plain < 2 || entry.plain > kPickleMost)
      continue;
    const auto bytes = read_small(archive.zip, entry, stop);
    if (!bytes) return bytes.error();
    const bool is_pickle = (*bytes)[0] == '\x80' && (*bytes)[1] >= 2 && (*bytes)[1] <= 5;
    if (is_pickle || to_lower(entry.name).ends_with(".pkl")) judge_attacks(*bytes, judgement);
    if (bytes->starts_with("PK\x03\x04"))
      judgement.warn("an archive within the archive: " + clean_line(entry.name, 80));
  }
  if (orphans > 0 && !archive.script)
    judgement.warn(std::to_string(orphans) + " records in data/ belong to no tensor");
  return {};
}

// One pickle of the archive and what it needs of it.
struct Object {
  Pickle pickle = {};
  TorchModel model = {};
};

// Nothing where the judgement failed.
Result<std::optional<Object>> read_object(const Archive& archive, std::string_view name,
                                          std::stop_token stop, Judgement& judgement) {
  const std::optional<Object> nothing;
  const ZipEntry* entry = archive.zip.find(archive.root + "/" + std::string(name));
  if (entry == nullptr || entry->plain > kPickleMost) {
    judgement.fail(ArtifactVerdict::unverified,
                   entry == nullptr
                       ? "a zip archive, but no PyTorch checkpoint (no " + std::string(name) + ")"
                       : std::string(name) + " is larger than we read");
    return nothing;
  }
  const auto bytes = read_small(archive.zip, *entry, std::move(stop));
  if (!bytes) return bytes.error();
  auto pickle = read_judged_pickle(
      *bytes, archive.script ? TorchNames::script : TorchNames::checkpoint, judgement);
  if (!pickle) return nothing;
  // Some readers go on behind STOP; an attack there is one all the same.
  if (pickle->size != bytes->size()) {
    judge_attacks(std::string_view(*bytes).substr(pickle->size), judgement);
    judgement.fail(ArtifactVerdict::corrupt,
                   "bytes behind the end of " + std::string(name) + ", which torch never writes");
  }
  if (judgement.failed()) return nothing;
  TorchModel model = read_torch_model(*pickle, name, judgement);
  return std::optional<Object>({std::move(*pickle), std::move(model)});
}

// The last 20 digits of torch's serialization_id fold the CRC-32 of all records in the order they
// were written: a second witness for the directory. Another tool that rewrote the archive keeps the
// old one, so a difference is told and fails nothing.
void check_serialization_id(const Archive& archive, std::stop_token stop, Judgement& judgement) {
  const std::string name = archive.root + "/.data/serialization_id";
  const ZipEntry* entry = archive.zip.find(name);
  if (entry == nullptr || entry->plain != 40) return;
  const auto digits = read_small(archive.zip, *entry, std::move(stop));
  const auto said = digits ? parse_uint(digits->substr(20)) : std::nullopt;
  std::uint64_t folded = 0;
  for (const ZipEntry* record : archive.zip.in_file_order()) {
    if (record->plain == 0 || record->name == name) continue;
    folded ^= std::uint64_t{record->crc32} + 0x9e3779b9 + (folded << 6) + (folded >> 2);
  }
  if (said != folded)
    judgement.warn("its records are not those that torch saved together: it was edited or merged");
}

// Each class that the object is made of has its code in the archive; its text is not looked at.
void check_code(const Archive& archive, const Pickle& pickle, Judgement& judgement) {
  for (const std::string& both : pickle.globals) {
    if (!both.starts_with("__torch__")) continue;
    std::string file = both.substr(0, both.find(' '));
    std::replace(file.begin(), file.end(), '.', '/');
    file = archive.root + "/code/" + file + ".py";
    if (archive.zip.find(file) == nullptr)
      return judgement.fail(ArtifactVerdict::corrupt,
                            "the code of its classes is missing: " + clean_line(file, 120));
  }
}

Result<void> prove(Archive& archive, Depth depth, std::stop_token stop, ArtifactReport& report,
                   Judgement& judgement) {
  if (const auto wrong = version_trouble(archive.zip, archive.root, stop); !wrong.empty())
    judgement.fail(ArtifactVerdict::corrupt, wrong);
  auto object = read_object(archive, "data.pkl", stop, judgement);
  if (!object) return object.error();
  if (!*object) return {};
  Object& main = **object;
  if (archive.script) {
    auto constants = read_object(archive, "constants.pkl", stop, judgement);
    if (!constants) return constants.error();
    if (!judgement.failed()) check_code(archive, main.pickle, judgement);
    if (!judgement.failed()) check_storages(archive, "constants/", (*constants)->model, judgement);
  }
  if (!judgement.failed()) check_storages(archive, "data/", main.model, judgement);
  if (auto done = judge_other_pickles(archive, main.model, stop, judgement); !done) return done;
  if (judgement.failed()) return {};
  check_serialization_id(archive, stop, judgement);
  report.tensors = main.model.tensors.size();
  report.parameters = main.model.parameters;
  report.facts = std::make_shared<FileFacts>();
  learn_facts(main.pickle, main.model, *report.facts);
  if (report.tensors == 0) judgement.warn("it holds no tensor");
  judgement.reached(Depth::structure);
  if (depth < Depth::checksums) return {};
  if (auto done = read_records(archive, main.model, depth, stop, judgement); !done) return done;
  if (depth < Depth::resume || archive.script) return {};
  judge_resume(
      main.pickle, main.model,
      [&](const std::string& key, std::uint64_t at, std::size_t bytes) {
        const ZipEntry* entry = archive.zip.find(archive.root + "/data/" + key);
        const bool plain = entry != nullptr && !entry->deflated && archive.little;
        const auto read =
            plain ? archive.file.read(entry->data + at, bytes) : Result<std::string>(std::string());
        return read ? *read : std::string();
      },
      *report.facts, judgement);
  judgement.reached(Depth::resume);
  return {};
}

Result<void> read_byte_order(Archive& archive, const std::stop_token& stop, Judgement& judgement) {
  const ZipEntry* order = archive.zip.find(archive.root + "/byteorder");
  // Every torch that writes a format version writes the byte order before it.
  if (order == nullptr && archive.zip.find(archive.root + "/.format_version") != nullptr)
    judgement.fail(ArtifactVerdict::corrupt, "its byteorder record is missing");
  if (order == nullptr || order->plain >= 16) return {};
  const auto word = read_small(archive.zip, *order, stop);
  if (!word) return word.error();
  archive.little = *word != "big";
  if (*word != "big" && *word != "little")
    judgement.fail(ArtifactVerdict::corrupt, "its byteorder is neither little nor big");
  return {};
}

}  // namespace

Result<void> read_pytorch_zip(const FileBytes& file, Depth depth, std::stop_token stop,
                              ArtifactReport& report) {
  report.format = "pytorch_zip";
  report.reader = "pytorch_zip/2";
  report.verdict = ArtifactVerdict::ok;
  Judgement judgement(report);
  auto zip = ZipArchive::open(file);
  if (!zip && !is_damage(zip.error())) return zip.error();
  if (!zip) return judgement.fail(ArtifactVerdict::corrupt, zip.error().message), Result<void>();
  if (zip->entries().empty())
    return judgement.fail(ArtifactVerdict::incomplete, "an archive without entries"),
           Result<void>();
  Archive archive{file, std::move(*zip)};
  const std::string& first = archive.zip.entries()[0].name;
  archive.root = first.substr(0, first.find('/'));
  for (const ZipEntry& entry : archive.zip.entries()) {
    if (!entry.name.starts_with(archive.root + "/")) {
      judgement.fail(ArtifactVerdict::unverified, "a zip archive, but no PyTorch checkpoint (" +
                                                      clean_line(entry.name, 80) +
                                                      " is outside of its folder)");
      return {};
    }
    archive.script |= entry.name == archive.root + "/constants.pkl" ||
                      entry.name.starts_with(archive.root + "/code/");
  }
  if (archive.script) {
    report.format = "torchscript";
    judgement.warn(
        "a TorchScript program: its bytes are proven, but torch.jit.load runs the code in it");
  }
  auto done = read_byte_order(archive, stop, judgement);
  if (done) done = prove(archive, depth, std::move(stop), report, judgement);
  if (done || !is_damage(done.error())) return done;
  judgement.fail(ArtifactVerdict::corrupt, done.error().message);
  return {};
}

}  // namespace rgt
