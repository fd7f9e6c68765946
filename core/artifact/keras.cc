// SPDX-License-Identifier: MIT
#include "core/artifact/keras.h"

#include <algorithm>

#include "core/artifact/hdf5.h"
#include "core/artifact/sweep.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kConfigMost = 64u << 20;  // bytes; the largest models' take a few MB
constexpr std::string_view kWeights = "model.weights.h5";

// Looks for what Keras would run or import: Lambda layers hold marshalled code, and a class from a
// module of somebody else is that one's code. CVE-2024-3660, CVE-2025-1550.
class ConfigReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool lambda = false;
  std::string foreign = {};

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return ++depth_ < 1000; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ < 1000; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& value) override {
    key_ = value;
    return true;
  }
  bool string(string_t& value) override {
    if (key_ == "class_name" && (value == "Lambda" || value == "__lambda__")) lambda = true;
    const bool own = value == "builtins" || value == "keras" || value.starts_with("keras.") ||
                     value.starts_with("keras_hub.") || value.starts_with("tensorflow.keras");
    if (key_ == "module" && !own && foreign.empty()) foreign = clean_line(value, 80);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  std::string key_ = {};
  int depth_ = 0;
};

Result<void> check_config(const ZipArchive& zip, const ZipEntry& entry, std::stop_token stop,
                          Judgement& judgement) {
  if (entry.plain > kConfigMost)
    return judgement.fail(ArtifactVerdict::unverified, "its config.json is larger than we read"),
           Result<void>();
  std::string text;
  if (auto done = zip.read(entry, std::move(stop), [&](std::string_view piece) { text += piece; });
      !done)
    return done;
  ConfigReader config;
  if (!nlohmann::json::sax_parse(text, &config)) {
    judgement.fail(ArtifactVerdict::corrupt, clean_line(entry.name, 80) + " is no JSON");
  } else if (config.lambda) {
    judgement.fail(ArtifactVerdict::unverified,
                   "it holds a Lambda layer: loading it runs the code in it");
  } else if (!config.foreign.empty()) {
    judgement.warn("loading it imports " + config.foreign);
  }
  return {};
}

// Every entry's CRC-32. Of the weights too, before libhdf5 sees them.
Result<void> check_crcs(const FileBytes& file, const ZipArchive& zip, std::stop_token stop) {
  std::vector<const ZipEntry*> stored;
  std::vector<Region> regions;
  for (const ZipEntry* entry : zip.in_file_order()) {
    if (entry->deflated) {
      if (auto done = zip.read(*entry, stop, [](std::string_view) {}); !done) return done;
      continue;
    }
    stored.push_back(entry);
    regions.push_back({entry->data, entry->plain});
  }
  const auto facts = sweep(file, regions, {.values = false}, stop);
  if (!facts) return facts.error();
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (auto same = zip.check_crc(*stored[i], (*facts)[i].crc32); !same) return same;
  }
  return {};
}

}  // namespace

bool is_keras(const ZipArchive& zip) {
  return zip.find(kWeights) != nullptr ||
         (zip.find("config.json") != nullptr && zip.find("metadata.json") != nullptr);
}

Result<void> read_keras(const FileBytes& file, const ZipArchive& zip, Depth depth,
                        std::stop_token stop, ArtifactReport& report) {
  report.format = "keras";
  report.reader = "keras/1";
  Judgement judgement(report);
  for (const std::string_view name : {std::string_view("config.json"), kWeights}) {
    if (zip.find(name) == nullptr)
      return judgement.fail(ArtifactVerdict::incomplete, "it has no " + std::string(name)),
             Result<void>();
  }
  if (depth >= Depth::checksums) {
    if (auto done = check_crcs(file, zip, stop); !done) return done;
  }
  if (auto done = check_config(zip, *zip.find("config.json"), stop, judgement); !done) return done;
  const ZipEntry& weights = *zip.find(kWeights);
  if (weights.deflated) {
    judgement.fail(ArtifactVerdict::unverified, "its weights are packed, which Keras does not do");
    return {};
  }
  const Depth of_values = std::min(depth, Depth::values);
  if (auto done = prove_hdf5(file, {weights.data, weights.plain}, of_values, std::move(stop),
                             report, judgement);
      !done)
    return done;
  if (judgement.failed()) return {};
  judgement.reached(of_values);
  report.verdict = ArtifactVerdict::ok;
  return {};
}

}  // namespace rgt
