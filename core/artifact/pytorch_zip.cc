// SPDX-License-Identifier: MIT
// PyTorch's zip checkpoint (torch >= 1.6): `<root>/data.pkl` describes the objects,
// `<root>/data/<key>` holds each storage. torch.load checks no record's CRC-32, so a flipped byte
// loads there; here it does not.
#include <algorithm>
#include <map>
#include <set>

#include "core/artifact/format.h"
#include "core/artifact/unpickler.h"
#include "core/artifact/value_scan.h"
#include "core/artifact/zip_archive.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using Kind = PickleValue::Kind;

constexpr std::uint64_t kPickleMost =
    64u << 20;  // bytes: the structure of the largest models takes a few MB

struct Element {
  std::uint64_t size = 1;
  ElementType type = ElementType::other;
};

Element element_of(std::string_view storage_class) {
  static const std::map<std::string, Element, std::less<>> table{
      {"DoubleStorage", {8, ElementType::f64}},
      {"FloatStorage", {4, ElementType::f32}},
      {"HalfStorage", {2, ElementType::f16}},
      {"BFloat16Storage", {2, ElementType::bf16}},
      {"LongStorage", {8, ElementType::other}},
      {"IntStorage", {4, ElementType::other}},
      {"ShortStorage", {2, ElementType::other}},
      {"CharStorage", {1, ElementType::other}},
      {"ByteStorage", {1, ElementType::other}},
      {"BoolStorage", {1, ElementType::other}},
      {"ComplexDoubleStorage", {16, ElementType::f64}},
      {"ComplexFloatStorage", {8, ElementType::f32}},
      {"QInt8Storage", {1, ElementType::other}},
      {"QUInt8Storage", {1, ElementType::other}},
      {"QInt32Storage", {4, ElementType::other}},
      {"QUInt4x2Storage", {1, ElementType::other}},
      {"QUInt2x4Storage", {1, ElementType::other}}};
  const auto found = table.find(storage_class);
  return found == table.end() ? Element{} : found->second;  // UntypedStorage counts bytes
}

// torch's name of a dtype, for tensors on untyped storages (_rebuild_tensor_v3).
Element element_of_dtype(std::string_view dtype) {
  static const std::map<std::string, Element, std::less<>> table{
      {"torch float64", {8, ElementType::f64}},
      {"torch float32", {4, ElementType::f32}},
      {"torch float16", {2, ElementType::f16}},
      {"torch bfloat16", {2, ElementType::bf16}},
      {"torch float8_e4m3fn", {1, ElementType::f8_e4m3}},
      {"torch float8_e5m2", {1, ElementType::f8_e5m2}},
      {"torch uint16", {2, ElementType::other}},
      {"torch uint32", {4, ElementType::other}},
      {"torch uint64", {8, ElementType::other}},
      {"torch int64", {8, ElementType::other}},
      {"torch int32", {4, ElementType::other}},
      {"torch int16", {2, ElementType::other}}};
  const auto found = table.find(dtype);
  return found == table.end() ? Element{} : found->second;
}

struct Storage {
  Element element = {};
  std::uint64_t count = 0;  // elements
};

// What the pickle says about storages and tensors, read off its nodes.
class Model {
 public:
  Model(const Pickle& pickle, Judgement& judgement) : pickle_(pickle), judgement_(judgement) {}

  void read() {
    for (PickleRef i = 0; i < pickle_.values.size() && !judgement_.failed(); ++i) {
      if (pickle_.values[i].kind == Kind::persistent) read_storage(i);
    }
    for (PickleRef i = 0; i < pickle_.values.size() && !judgement_.failed(); ++i) {
      if (pickle_.values[i].kind == Kind::call) read_tensor(pickle_.values[i]);
    }
  }
  const std::map<std::string, Storage>& storages() const { return storages_; }
  std::uint64_t tensors() const { return tensors_; }
  std::uint64_t parameters() const { return parameters_; }

 private:
  const PickleValue& at(PickleRef ref) const { return pickle_.values[ref]; }
  void corrupt(const std::string& what) { judgement_.fail(ArtifactVerdict::corrupt, what); }

  // ('storage', class, key, location, elements)
  void read_storage(PickleRef ref) {
    const PickleValue& id = at(at(ref).items.at(0));
    if (id.kind != Kind::tuple || id.items.size() < 5 || at(id.items[0]).text != "storage")
      return corrupt("data.pkl refers to something that is no storage");
    const PickleValue& storage_class = at(id.items[1]);
    const PickleValue& key = at(id.items[2]);
    const PickleValue& count = at(id.items[4]);
    if (storage_class.kind != Kind::global || key.kind != Kind::text ||
        count.kind != Kind::integer || count.integer < 0) {
      return corrupt("data.pkl describes a storage wrongly");
    }
    keys_[ref] = key.text;
    const std::string_view name = storage_class.text;
    storages_.try_emplace(key.text, Storage{element_of(name.substr(name.find(' ') + 1)),
                                            static_cast<std::uint64_t>(count.integer)});
  }

  void read_tensor(const PickleValue& call) {
    const PickleValue* outer = &at(call.items[1]);
    // A tensor subclass names its builder and that one's arguments: (function, type, arguments,
    // state).
    if (at(call.items[0]).text == "torch._tensor _rebuild_from_type_v2" &&
        outer->kind == Kind::tuple && outer->items.size() >= 3) {
      return read_rebuild(at(outer->items[0]), at(outer->items[2]));
    }
    read_rebuild(at(call.items[0]), *outer);
  }

  void read_rebuild(const PickleValue& callable, const PickleValue& arguments) {
    if (callable.kind != Kind::global || !callable.text.starts_with("torch._utils _rebuild_tensor"))
      return;
    if (arguments.kind != Kind::tuple || arguments.items.size() < 4)
      return corrupt("a tensor is rebuilt from too little");
    const auto key = keys_.find(arguments.items[0]);
    if (key == keys_.end()) return corrupt("a tensor has no storage");
    Storage& storage = storages_.at(key->second);
    Element element = storage.element;
    std::uint64_t available = storage.count;
    if (callable.text.ends_with("_v3") && arguments.items.size() > 6) {
      element = element_of_dtype(at(arguments.items[6]).text);
      available = storage.count / element.size;
      if (storage.element.type == ElementType::other && storage.element.size == 1)
        scan_types_[key->second] = element.type;
    }
    check_extent(arguments, available);
  }

  // offset + 1 + sum((size - 1) * stride) elements must be there, unless some size is zero.
  void check_extent(const PickleValue& arguments, std::uint64_t available) {
    const PickleValue& offset = at(arguments.items[1]);
    const PickleValue& shape = at(arguments.items[2]);
    const PickleValue& stride = at(arguments.items[3]);
    if (offset.kind != Kind::integer || offset.integer < 0)
      return corrupt("a tensor has a bad offset");
    // torch.Size is a call around the tuple.
    const PickleValue* sizes_value = &shape;
    if (shape.kind == Kind::call && at(shape.items[1]).items.size() == 1)
      sizes_value = &at(at(shape.items[1]).items[0]);
    if (sizes_value->kind != Kind::tuple || stride.kind != Kind::tuple)
      return corrupt("a tensor has a bad shape");
    const std::vector<PickleRef>& sizes = sizes_value->items;
    if (sizes.size() != stride.items.size() || sizes.size() > 64)
      return corrupt("a tensor's shape and strides differ in rank");
    std::uint64_t last = static_cast<std::uint64_t>(offset.integer), elements = 1;
    bool overflow = false;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const PickleValue& size = at(sizes[i]);
      const PickleValue& step = at(stride.items[i]);
      if (size.kind != Kind::integer || step.kind != Kind::integer || size.integer < 0 ||
          step.integer < 0)
        return corrupt("a tensor has a bad shape");
      std::uint64_t reach = 0;
      overflow |=
          __builtin_mul_overflow(elements, static_cast<std::uint64_t>(size.integer), &elements);
      if (size.integer == 0) continue;
      overflow |= __builtin_mul_overflow(static_cast<std::uint64_t>(size.integer - 1),
                                         static_cast<std::uint64_t>(step.integer), &reach);
      overflow |= __builtin_add_overflow(last, reach, &last);
    }
    ++tensors_;
    parameters_ += elements;
    if (overflow || (elements > 0 && last >= available)) {
      corrupt("a tensor reaches element " +
              (overflow ? std::string("2^64") : std::to_string(last)) + " of a storage of " +
              std::to_string(available));
    }
  }

 public:
  ElementType scan_type(const std::string& key) const {
    const auto found = scan_types_.find(key);
    return found != scan_types_.end() ? found->second : storages_.at(key).element.type;
  }

 private:
  const Pickle& pickle_;
  Judgement& judgement_;
  std::map<PickleRef, std::string> keys_ = {};
  std::map<std::string, Storage> storages_ = {};
  std::map<std::string, ElementType> scan_types_ = {};
  std::uint64_t tensors_ = 0, parameters_ = 0;
};

// Names of the globals decide: hostile, unverified, or fine.
void judge_globals(const std::vector<std::string>& globals, Judgement& judgement) {
  std::vector<std::string> unknown, benign;
  for (const std::string& both : globals) {
    std::string shown = clean_line(both, 120);
    std::replace(shown.begin(), shown.end(), ' ', '.');
    switch (classify_global(both)) {
      case GlobalClass::dangerous:
        judgement.fail(ArtifactVerdict::hostile, "ATTACK: loading this file would reach " + shown);
        break;
      case GlobalClass::unknown: unknown.push_back(shown); break;
      case GlobalClass::benign: benign.push_back(shown); break;
      case GlobalClass::tensor: break;
    }
  }
  if (judgement.failed()) return;
  unknown.resize(std::min<std::size_t>(unknown.size(), 10));
  if (!unknown.empty())
    judgement.fail(ArtifactVerdict::unverified,
                   "it holds objects that only their own code can rebuild: " + join(unknown, ", "));
  benign.resize(std::min<std::size_t>(benign.size(), 10));
  if (!benign.empty())
    judgement.info("torch.load needs weights_only=False or an allow-list for: " +
                   join(benign, ", "));
}

// Which parts of a training state the top level names.
void report_resume(const Pickle& pickle, Judgement& judgement) {
  const PickleValue* root = &pickle.values[pickle.root];
  std::vector<std::string> keys;
  for (std::size_t i = 0; root->kind == Kind::dict && i + 1 < root->items.size(); i += 2) {
    const PickleValue& key = pickle.values[root->items[i]];
    if (key.kind == Kind::text && keys.size() < 1000) keys.push_back(to_lower(key.text));
  }
  const auto names = [&](std::initializer_list<std::string_view> words) {
    return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
      return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        return key.find(word) != std::string::npos;
      });
    });
  };
  if (!names({"optim"})) {
    judgement.info(
        "no optimizer state at the top level: enough for inference, not for an exact resume");
    return;
  }
  std::string missing;
  if (!names({"model", "state_dict", "net", "weights"})) missing += " model";
  if (!names({"sched"})) missing += " scheduler";
  if (!names({"epoch", "step", "iter"})) missing += " step-or-epoch";
  if (!names({"rng", "random"})) missing += " RNG";
  judgement.info(missing.empty()
                     ? "training state: model, optimizer, scheduler, step and RNG are there"
                     : "training state without:" + missing);
}

struct Archive {
  ZipArchive zip;
  std::string root = {};
  bool little = true;
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

// Every record's CRC, and the values of those that are storages, in one pass over each.
Result<void> read_records(const Archive& archive, const Model& model, Depth depth,
                          std::stop_token stop, Judgement& judgement) {
  ValueTotals totals;
  const std::string data = archive.root + "/data/";
  for (const ZipEntry& entry : archive.zip.entries()) {
    const std::string key = entry.name.starts_with(data) ? entry.name.substr(data.size()) : "";
    const bool is_storage = model.storages().contains(key);
    ValueScan values(is_storage && archive.little ? model.scan_type(key) : ElementType::other);
    auto done = archive.zip.read(entry, stop, [&](std::string_view bytes) {
      if (is_storage && depth >= Depth::values) values.feed(bytes);
    });
    if (!done && !is_damage(done.error())) return done;
    if (!done)
      return judgement.fail(ArtifactVerdict::corrupt, done.error().message), Result<void>();
    if (!is_storage) continue;
    ++totals.tensors;
    totals.not_finite += values.not_finite();
    totals.all_zero += entry.plain > 0 && values.all_zero();
    if (values.not_finite() > 0 && totals.first_not_finite.empty())
      totals.first_not_finite = "storage " + clean_line(key, 40);
  }
  if (!archive.zip.has_checksums())
    judgement.warn("it was saved without checksums, so damage in its values cannot be seen");
  judgement.reached(Depth::checksums);
  if (depth < Depth::values) return {};
  if (!archive.little) judgement.info("big-endian storages: values were not scanned");
  report_values(totals, judgement);
  judgement.reached(Depth::values);
  return {};
}

void check_storages(const Archive& archive, const Model& model, Judgement& judgement) {
  for (const auto& [key, storage] : model.storages()) {
    const ZipEntry* entry = archive.zip.find(archive.root + "/data/" + key);
    std::uint64_t need = 0;
    if (entry == nullptr)
      return judgement.fail(ArtifactVerdict::corrupt,
                            "the record of storage " + clean_line(key, 40) + " is missing");
    if (__builtin_mul_overflow(storage.count, storage.element.size, &need) ||
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

// Some readers go on behind STOP; an attack there is one all the same.
void judge_attacks_behind(std::string_view rest, Judgement& judgement) {
  std::vector<std::string> seen;
  [[maybe_unused]] const auto ignored = read_pickle(rest, &seen);
  judge_globals(seen, judgement);
}

Result<void> judge_archive(Archive& archive, Depth depth, std::stop_token stop,
                           ArtifactReport& report, Judgement& judgement) {
  const ZipEntry* pickle_entry = archive.zip.find(archive.root + "/data.pkl");
  if (pickle_entry == nullptr || pickle_entry->plain > kPickleMost) {
    judgement.fail(ArtifactVerdict::unverified,
                   pickle_entry == nullptr
                       ? "a zip archive, but no PyTorch checkpoint (no data.pkl)"
                       : "data.pkl is larger than we read");
    return {};
  }
  const auto bytes = read_small(archive.zip, *pickle_entry, stop);
  if (!bytes && !is_damage(bytes.error())) return bytes.error();
  if (!bytes)
    return judgement.fail(ArtifactVerdict::corrupt, bytes.error().message), Result<void>();
  if (const auto wrong = version_trouble(archive.zip, archive.root, stop); !wrong.empty())
    judgement.fail(ArtifactVerdict::corrupt, wrong);
  std::vector<std::string> seen;
  const auto pickle = read_pickle(*bytes, &seen);
  judge_globals(seen, judgement);
  if (!pickle) {
    judgement.fail(
        pickle.error().code == Code::limit ? ArtifactVerdict::hostile : ArtifactVerdict::corrupt,
        pickle.error().message);
    return {};
  }
  if (judgement.failed()) return {};
  if (pickle->size != bytes->size()) {
    judge_attacks_behind(std::string_view(*bytes).substr(pickle->size), judgement);
    judgement.fail(ArtifactVerdict::corrupt,
                   "bytes behind the end of data.pkl, which torch never writes");
    return {};
  }
  Model model(*pickle, judgement);
  model.read();
  if (!judgement.failed()) check_storages(archive, model, judgement);
  if (judgement.failed()) return {};
  if (model.tensors() == 0) judgement.warn("it holds no tensor");
  report.tensors = model.tensors();
  report.parameters = model.parameters();
  judgement.reached(Depth::structure);
  if (depth >= Depth::checksums) {
    if (auto done = read_records(archive, model, depth, stop, judgement); !done) return done;
  }
  if (!judgement.failed() && depth >= Depth::resume) {
    report_resume(*pickle, judgement);
    judgement.reached(Depth::resume);
  }
  return {};
}

}  // namespace

Result<void> read_pytorch_zip(const FileBytes& file, Depth depth, std::stop_token stop,
                              ArtifactReport& report) {
  report.format = "pytorch_zip";
  report.reader = "pytorch_zip/1";
  report.verdict = ArtifactVerdict::ok;
  Judgement judgement(report);
  auto zip = ZipArchive::open(file);
  if (!zip && !is_damage(zip.error())) return zip.error();
  if (!zip) return judgement.fail(ArtifactVerdict::corrupt, zip.error().message), Result<void>();
  if (zip->entries().empty())
    return judgement.fail(ArtifactVerdict::incomplete, "an archive without entries"),
           Result<void>();
  Archive archive{std::move(*zip)};
  const std::string& first = archive.zip.entries()[0].name;
  archive.root = first.substr(0, first.find('/'));
  for (const ZipEntry& entry : archive.zip.entries()) {
    if (!entry.name.starts_with(archive.root + "/")) {
      judgement.fail(ArtifactVerdict::unverified, "a zip archive, but no PyTorch checkpoint (" +
                                                      clean_line(entry.name, 80) +
                                                      " is outside of its folder)");
      return {};
    }
    if (entry.name == archive.root + "/constants.pkl" ||
        entry.name.starts_with(archive.root + "/code/")) {
      report.format = "torchscript";
      judgement.fail(
          ArtifactVerdict::unverified,
          "a TorchScript archive: loading it runs code, so it cannot be proven by reading");
      return {};
    }
  }
  if (const ZipEntry* order = archive.zip.find(archive.root + "/byteorder");
      order != nullptr && order->plain < 16) {
    const auto word = read_small(archive.zip, *order, stop);
    archive.little = !word || *word != "big";
  }
  return judge_archive(archive, depth, stop, report, judgement);
}

// Pickles in a row, then bare storages: no checksum and no sizes of its own. The pickles are
// searched for attacks; the rest is left unproven.
Result<void> read_pytorch_legacy(const FileBytes& file, Depth, std::stop_token,
                                 ArtifactReport& report) {
  report.format = "pickle";
  report.reader = "pickle/1";
  Judgement judgement(report);
  const auto bytes = file.read(0, static_cast<std::size_t>(std::min(file.size(), kPickleMost)));
  if (!bytes) return bytes.error();
  std::string_view rest = *bytes;
  for (int part = 0; part < 5 && !rest.empty() && rest[0] == '\x80'; ++part) {
    std::vector<std::string> seen;
    const auto pickle = read_pickle(rest, &seen);
    judge_globals(seen, judgement);
    if (!pickle) {
      const bool bomb = pickle.error().code == Code::limit;
      judgement.fail(bomb ? ArtifactVerdict::hostile : ArtifactVerdict::corrupt,
                     pickle.error().message);
      return {};
    }
    if (part == 0 && pickle->values.size() == 1 && pickle->values[0].kind == Kind::integer)
      report.format = "pytorch_legacy";
    if (report.verdict == ArtifactVerdict::hostile) return {};
    rest.remove_prefix(pickle->size);
  }
  if (!judgement.failed()) {
    judgement.fail(ArtifactVerdict::unverified,
                   "a checkpoint of the old format: it has no checksums, so it cannot be proven; "
                   "save it again with a current torch");
  }
  return {};
}

}  // namespace rgt
