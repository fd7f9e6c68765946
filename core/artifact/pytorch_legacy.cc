// SPDX-License-Identifier: MIT
// PyTorch's old format (torch < 1.6): five pickles in a row (magic number, protocol, sys_info, the
// object, the storages' keys), then each storage as its element count and its bytes. No checksum
// and no directory, but every byte is accounted for: the sizes add up to the file's, or it is not
// whole. Source: torch/serialization.py, _legacy_save and _legacy_load.
#include <algorithm>
#include <optional>
#include <set>

#include "core/artifact/format.h"
#include "core/artifact/sweep.h"
#include "core/artifact/torch_model.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using Kind = PickleValue::Kind;

constexpr std::uint64_t kPicklesMost = 64u << 20;  // bytes: as for data.pkl
// 0x1950a86a20f9469cfc6c as LONG1, in protocol 2.
constexpr std::string_view kMagic("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19.", 15);
constexpr std::int64_t kProtocol = 1001;

Error torn(const std::string& what) {
  return {Code::corrupt, what, "it was cut, or is still being written"};
}

// The pickles one after the other; each is judged for its names before anything is made of it.
class Pickles {
 public:
  Pickles(std::string_view bytes, Judgement& judgement) : rest_(bytes), judgement_(judgement) {}

  // Nothing where the judgement failed.
  std::optional<Pickle> next() {
    auto pickle = read_judged_pickle(rest_, TorchNames::checkpoint, judgement_);
    if (judgement_.failed()) return std::nullopt;
    rest_.remove_prefix(pickle->size);
    used_ += pickle->size;
    return pickle;
  }
  std::uint64_t used() const { return used_; }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  Judgement& judgement_;
  std::uint64_t used_ = 0;
};

struct Header {
  Pickle object = {};
  std::vector<std::string> keys = {};  // in the order of the storages
  bool big_endian = false;
};

const PickleValue& root_of(const Pickle& pickle) { return pickle.values[pickle.root]; }

bool is_big_endian(const Pickle& sys_info) {
  const PickleValue& root = root_of(sys_info);
  for (std::size_t i = 0; root.kind == Kind::dict && i + 1 < root.items.size(); i += 2) {
    const PickleValue& value = sys_info.values[root.items[i + 1]];
    if (sys_info.values[root.items[i]].text == "little_endian")
      return value.kind == Kind::boolean && value.integer == 0;
  }
  return false;
}

std::optional<Header> read_header(Pickles& pickles, Judgement& judgement) {
  const auto protocol = pickles.next();
  if (!protocol) return std::nullopt;
  if (root_of(*protocol).kind != Kind::integer || root_of(*protocol).integer != kProtocol) {
    judgement.fail(ArtifactVerdict::corrupt, "its protocol is not 1001, the only one torch loads");
    return std::nullopt;
  }
  const auto sys_info = pickles.next();
  if (!sys_info) return std::nullopt;
  auto object = pickles.next();
  if (!object) return std::nullopt;
  const auto keys = pickles.next();
  if (!keys) return std::nullopt;
  if (root_of(*keys).kind != Kind::list) {
    judgement.fail(ArtifactVerdict::corrupt, "the list of its storages is no list");
    return std::nullopt;
  }
  Header header{std::move(*object), {}, is_big_endian(*sys_info)};
  for (const PickleRef key : root_of(*keys).items)
    header.keys.push_back(clean_line(keys->values[key].text, 400));
  return header;
}

// Walks the storages: each must be described, once, with as many elements as it says itself.
Result<std::vector<Region>> lay_out(const FileBytes& file, const Header& header,
                                    const TorchModel& model, std::uint64_t at) {
  std::vector<Region> regions;
  std::set<std::string> done;
  for (const std::string& key : header.keys) {
    const std::string shown = "storage " + clean_line(key, 40);
    const auto storage = model.storages.find(key);
    if (storage == model.storages.end()) return torn(shown + " is stored and belongs to nothing");
    if (!done.insert(key).second) return torn(shown + " is stored twice");
    const auto count = file.read(at, 8);
    if (!count) return torn("the file ends before " + shown);
    std::uint64_t size = 0;
    std::uint64_t said = Cursor(*count).little(8);
    if (header.big_endian) said = __builtin_bswap64(said);
    if (said != storage->second.count)
      return torn(shown + " has " + std::to_string(said) + " elements, " +
                  std::to_string(storage->second.count) + " are expected");
    at += 8;
    if (__builtin_mul_overflow(said, storage->second.element_size, &size) ||
        size > file.size() - at)
      return torn("the file ends inside " + shown);
    regions.push_back({at, size, storage->second.type, header.big_endian});
    at += size;
  }
  if (done.size() != model.storages.size())
    return torn("a storage that its tensors need is not stored");
  if (at != file.size())
    return torn(std::to_string(file.size() - at) + " bytes behind its last storage");
  return regions;
}

Result<void> prove(const FileBytes& file, Depth depth, std::stop_token stop, const Header& header,
                   std::uint64_t data_at, ArtifactReport& report, Judgement& judgement) {
  const TorchModel model = read_torch_model(header.object, "the object's pickle", judgement);
  if (judgement.failed()) return {};
  const auto regions = lay_out(file, header, model, data_at);
  if (!regions) return regions.error();
  report.tensors = model.tensors.size();
  report.parameters = model.parameters;
  report.facts = std::make_shared<FileFacts>();
  learn_facts(header.object, model, *report.facts);
  if (report.tensors == 0) judgement.warn("it holds no tensor");
  judgement.warn(
      "the old format has no checksums: damage in its values cannot be seen without a digest");
  judgement.reached(Depth::structure);
  if (depth < Depth::values) return {};
  const auto facts = sweep(file, *regions, {.crc32 = false}, std::move(stop));
  if (!facts) return facts.error();
  ValueTotals totals;
  for (std::size_t i = 0; i < regions->size(); ++i)
    totals.add((*facts)[i].values, (*regions)[i].size, "storage " + header.keys[i]);
  report_values(totals, judgement);
  judgement.reached(Depth::values);
  if (depth < Depth::resume) return {};
  judge_resume(
      header.object, model,
      [&](const std::string& key, std::uint64_t at, std::size_t bytes) {
        const auto found = std::find(header.keys.begin(), header.keys.end(), key);
        const Region& region = (*regions)[static_cast<std::size_t>(found - header.keys.begin())];
        auto read = file.read(region.at + at, bytes);
        return read && !header.big_endian ? *read : std::string();
      },
      *report.facts, judgement);
  judgement.reached(Depth::resume);
  return {};
}

}  // namespace

Result<void> read_pytorch_legacy(const FileBytes& file, Depth depth, std::stop_token stop,
                                 ArtifactReport& report) {
  report.format = "pickle";
  report.reader = "pytorch_legacy/2";
  Judgement judgement(report);
  const auto bytes = file.read(0, static_cast<std::size_t>(std::min(file.size(), kPicklesMost)));
  if (!bytes) return bytes.error();
  Pickles pickles(*bytes, judgement);
  if (!bytes->starts_with(kMagic)) {
    // Any other pickle. Several may follow each other, and some readers go on behind the first.
    while (pickles.next() && pickles.rest().starts_with('\x80')) {
    }
    if (!judgement.failed())
      judgement.fail(ArtifactVerdict::unverified,
                     "a bare pickle: nothing in it says whether it is whole; save tensors with "
                     "torch.save or safetensors");
    return {};
  }
  report.format = "pytorch_legacy";
  report.verdict = ArtifactVerdict::ok;
  if (!pickles.next()) return {};
  const auto header = read_header(pickles, judgement);
  if (!header) return {};
  return prove(file, depth, std::move(stop), *header, pickles.used(), report, judgement);
}

// The very first format: a tar archive of pickles. torch itself stopped to load it safely.
Result<void> read_pytorch_tar(const FileBytes&, Depth, std::stop_token, ArtifactReport& report) {
  report.format = "pytorch_tar";
  report.reader = "pytorch_legacy/2";
  Judgement(report).fail(ArtifactVerdict::unverified,
                         "a tar archive, perhaps of torch before 0.1.10: load it once with "
                         "torch 2.5 or older on a machine you can lose, and save it again");
  return {};
}

}  // namespace rgt
