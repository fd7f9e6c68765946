// SPDX-License-Identifier: MIT
// mutate_artifacts [--count N] [--seed S] [--table] [--write FOLDER] FOLDER: damages every
// checkpoint of a folder in seeded ways, N times in all, and asks the readers. A mutant must be
// refused, or load to the very same values. Where a format has no checksum, what only the
// manifest's digest can show is counted apart. Exit 1 if a damaged value got through a format that
// has one.
// --table prints which depth caught what; --write keeps the mutants, for torch_load_table.py.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "core/artifact/reader.h"
#include "core/artifact/torch_model.h"
#include "core/artifact/zip_archive.h"
#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "tests/core/artifact/known_values.h"
#include "tests/fuzz/memory_file.h"
#include "tests/temporary_folder.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;
using Dice = std::mt19937_64;

struct Original {
  fs::path path = {};
  std::string format = {};
  std::string bytes = {};
  std::string values = {};              // what it loads to
  std::vector<std::size_t> edges = {};  // where one part ends and the next begins, 0 and size too
};

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// ---- damage

struct Mutant {
  std::string kind = {}, bytes = {};
};

std::size_t below(Dice& dice, std::size_t end) { return end == 0 ? 0 : dice() % end; }

// A place in a part, parts being equally likely however long they are.
std::size_t some_place(const Original& of, Dice& dice) {
  const std::size_t part = below(dice, of.edges.size() - 1);
  return of.edges[part] + below(dice, of.edges[part + 1] - of.edges[part]);
}

Mutant flip(const Original& of, Dice& dice) {
  Mutant mutant{"one bit flipped", of.bytes};
  const std::size_t at = some_place(of, dice);
  mutant.bytes[at] = static_cast<char>(mutant.bytes[at] ^ (1 << below(dice, 8)));
  return mutant;
}

Mutant zero(const Original& of, Dice& dice) {
  const std::size_t page = of.bytes.size() > 8192 ? 4096 : 512;
  const std::size_t from = some_place(of, dice) / page * page;
  const std::size_t size = std::min(page, of.bytes.size() - from);
  Mutant mutant{"a page zeroed", of.bytes};
  mutant.bytes.replace(from, size, std::string(size, '\0'));
  return mutant;
}

Mutant cut(const Original& of, Dice& dice) {
  const std::size_t edge = of.edges[below(dice, of.edges.size())];
  const std::size_t size = std::min(of.bytes.size() - 1, edge + below(dice, 3) - (edge > 0));
  return {"cut at a part's edge", of.bytes.substr(0, size)};
}

Mutant zero_tail(const Original& of, Dice& dice) {
  const std::size_t from = some_place(of, dice);
  return {"tail zeroed", of.bytes.substr(0, from) + std::string(of.bytes.size() - from, '\0')};
}

Mutant append(const Original& of, Dice& dice) {
  const std::size_t sizes[] = {1, 22, 100, 70000};
  return {"bytes appended",
          of.bytes + std::string(sizes[below(dice, 4)], static_cast<char>(below(dice, 2)))};
}

Mutant swap_parts(const Original& of, Dice& dice) {
  std::size_t a = below(dice, of.edges.size() - 1), b = below(dice, of.edges.size() - 1);
  if (a > b) std::swap(a, b);
  const auto part = [&](std::size_t i) {
    return of.bytes.substr(of.edges[i], of.edges[i + 1] - of.edges[i]);
  };
  Mutant mutant{"two parts swapped", of.bytes.substr(0, of.edges[a])};
  for (std::size_t i = a; i <= b; ++i) mutant.bytes += part(i == a ? b : i == b ? a : i);
  mutant.bytes += of.bytes.substr(of.edges[b + 1]);
  return mutant;
}

Mutant shift(const Original& of, Dice& dice) {
  Mutant mutant{"bytes lost or doubled", of.bytes};
  const std::size_t at = some_place(of, dice);
  const std::size_t size = 1 + below(dice, std::min<std::size_t>(64, of.bytes.size() - at));
  if (below(dice, 2) == 0)
    mutant.bytes.erase(at, size);
  else
    mutant.bytes.insert(at, of.bytes.substr(at, size));
  return mutant;
}

// A field of a zip header takes another value: disagreeing, overlapping, encrypted, bombs.
Mutant zip_field(const Original& of, Dice& dice) {
  struct Header {
    std::uint32_t signature;
    std::vector<std::pair<std::size_t, int>> fields;  // offset, width
  };
  static const std::vector<Header> headers{
      {0x04034b50, {{4, 2}, {6, 2}, {8, 2}, {14, 4}, {18, 4}, {22, 4}, {26, 2}, {28, 2}}},
      {0x02014b50,
       {{8, 2}, {10, 2}, {16, 4}, {20, 4}, {24, 4}, {28, 2}, {30, 2}, {32, 2}, {34, 2}, {42, 4}}},
      {0x08074b50, {{4, 4}, {8, 4}, {12, 4}}},
      {0x06054b50, {{4, 2}, {6, 2}, {8, 2}, {10, 2}, {12, 4}, {16, 4}, {20, 2}}},
      {0x06064b50, {{4, 8}, {16, 4}, {24, 8}, {32, 8}, {40, 8}, {48, 8}}},
      {0x07064b50, {{4, 4}, {8, 8}, {16, 4}}}};
  std::vector<std::pair<std::size_t, const Header*>> found;
  for (const Header& header : headers) {
    const std::string signature = little(header.signature, 4);
    for (std::size_t at = of.bytes.find(signature); at != std::string::npos;
         at = of.bytes.find(signature, at + 4))
      found.emplace_back(at, &header);
  }
  const auto& [at, header] = found[below(dice, found.size())];
  const auto& [offset, width] = header->fields[below(dice, header->fields.size())];
  Mutant mutant{"a zip field changed", of.bytes};
  if (at + offset + 8 > of.bytes.size()) return mutant;
  const std::uint64_t old =
      Cursor(of.bytes.substr(at + offset)).little(static_cast<std::size_t>(width));
  const std::uint64_t choices[] = {0,
                                   1,
                                   8,
                                   0x41,
                                   old + 1,
                                   old - 1,
                                   old * 2,
                                   old + 64,
                                   ~0ull,
                                   0x7FFFFFFF,
                                   below(dice, of.bytes.size())};
  mutant.bytes.replace(at + offset, static_cast<std::size_t>(width),
                       little(choices[below(dice, std::size(choices))], width));
  return mutant;
}

// An entry takes another's name, in both headers or in one.
Mutant zip_name(const Original& of, Dice& dice) {
  const auto file = FileBytes::open(of.path);
  const auto zip = ZipArchive::open(*file);
  const ZipEntry& one = zip->entries()[below(dice, zip->entries().size())];
  const ZipEntry& other = zip->entries()[below(dice, zip->entries().size())];
  Mutant mutant{"a zip name changed", of.bytes};
  std::string name = other.name;
  name.resize(one.name.size(), '_');
  const bool local = below(dice, 2) == 0, both = below(dice, 2) == 0;
  const std::size_t in_directory = of.bytes.rfind(one.name);
  if (local || both) mutant.bytes.replace(one.header + 30, name.size(), name);
  if (!local || both) mutant.bytes.replace(in_directory, name.size(), name);
  return mutant;
}

// The header says something else about the same bytes.
Mutant safetensors_header(const Original& of, Dice& dice) {
  const std::size_t data = 8 + Cursor(of.bytes).little(8);
  auto json = nlohmann::ordered_json::parse(of.bytes.substr(8, data - 8));
  json.erase("__metadata__");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : json.items()) names.push_back(name);
  auto& tensor = json[names[below(dice, names.size())]];
  const auto& other = json[names[below(dice, names.size())]];
  std::string doubled;
  switch (below(dice, 7)) {
    case 0: tensor["data_offsets"] = other["data_offsets"]; break;
    case 1: tensor["data_offsets"][0] = tensor["data_offsets"][0].get<std::uint64_t>() + 4; break;
    case 2: tensor["data_offsets"][1] = ~0ull >> below(dice, 64); break;
    case 3: tensor["shape"].push_back(below(dice, 5) == 0 ? 0xFFFFFFFFFFFFull : 2); break;
    case 4: json.erase(names[below(dice, names.size())]); break;
    case 5: doubled = ",\"" + names[0] + "\":" + json[names[0]].dump() + "}"; break;
    default: tensor["dtype"] = "F64"; break;
  }
  std::string header = json.dump();
  if (!doubled.empty()) header.replace(header.size() - 1, 1, doubled);
  return {"a header that lies", little(header.size(), 8) + header + of.bytes.substr(data)};
}

Mutant mutate(const Original& of, Dice& dice) {
  using Make = Mutant (*)(const Original&, Dice&);
  std::vector<Make> ways{flip, flip, flip, flip, zero, cut, zero_tail, append, swap_parts, shift};
  if (of.format == "safetensors")
    ways.insert(ways.end(), {safetensors_header, safetensors_header});
  else if (is_zip(of.format))
    ways.insert(ways.end(), {zip_field, zip_field, zip_field, zip_name});
  return ways[below(dice, ways.size())](of, dice);
}

// ---- judging

ArtifactReport check(const fs::path& path, Depth depth, bool digest = false) {
  const auto report = check_artifact(path, {depth, digest}, {});
  require(report.ok(), "a check of readable bytes must end in a verdict");
  return *report;
}

// The column of the table.
std::string caught_by(const Original& of, const fs::path& path, const Mutant& mutant) {
  if (mutant.bytes == of.bytes) return "same bytes";
  if (const ArtifactReport report = check(path, Depth::resume);
      report.verdict == ArtifactVerdict::ok) {
    require(check(path, Depth::digest, true).sha256 != sha256_hex(of.bytes), "an equal digest");
    // A whole file of another format, of which this one held a copy.
    if (report.format != of.format) return "digest only";
    if (values_of(of.format, path, mutant.bytes) == of.values) return "harmless";
    const bool told =
        has_checksums(of.format) && !only_whole_parts(of.format, of.bytes, mutant.bytes);
    return told ? "NOT CAUGHT" : "digest only";
  }
  for (const Depth depth : {Depth::structure, Depth::checksums, Depth::values}) {
    if (check(path, depth).verdict != ArtifactVerdict::ok) return std::string(depth_name(depth));
  }
  return "resume";
}

using Table = std::map<std::string, std::map<std::string, std::size_t>>;

void print(const Table& table, std::size_t total) {
  const std::vector<std::string> columns{"structure", "checksums",   "values",     "resume",
                                         "harmless",  "digest only", "same bytes", "NOT CAUGHT"};
  std::printf("%-40s", "mutation");
  for (const std::string& column : columns) std::printf("%12s", column.c_str());
  for (const auto& [row, counts] : table) {
    std::printf("\n%-40s", row.c_str());
    for (const std::string& column : columns) {
      const auto found = counts.find(column);
      std::printf("%12zu", found == counts.end() ? 0 : found->second);
    }
  }
  std::printf("\n%zu mutants\n", total);
}

std::vector<Original> read_originals(const fs::path& folder) {
  std::vector<Original> originals;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    const ArtifactReport report = check(path, Depth::resume);
    // What is of several files, or nothing but text, is no subject here.
    const bool several = report.format.starts_with("tf_bundle") || report.format == "tf_shard" ||
                         path.filename().string().starts_with("outside");
    const bool filled = report.tensors > 0 || report.format.starts_with("tf");
    if (report.verdict != ArtifactVerdict::ok || several || !filled) continue;
    Original original{path, report.format, bytes_of(path)};
    original.values = values_of(report.format, path, original.bytes);
    original.edges = edges_of(report.format, path, original.bytes);
    originals.push_back(std::move(original));
  }
  return originals;
}

void keep(const fs::path& folder, std::size_t number, const Original& of, const Mutant& mutant,
          const std::string& caught) {
  const std::string name = std::to_string(number) + of.path.extension().string();
  std::ofstream(folder / name, std::ios::binary) << mutant.bytes;
  std::ofstream(folder / "mutants.tsv", std::ios::app)
      << name << '\t' << of.path.string() << '\t' << of.format << '\t' << mutant.kind << '\t'
      << caught << '\n';
}

}  // namespace
}  // namespace rgt

int main(int argc, char** argv) {
  using namespace rgt;
  std::size_t count = 5000;
  std::uint64_t seed = 20261127;
  bool table_wanted = false;
  fs::path corpus, kept;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string next = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--table")
      table_wanted = true;
    else if (word == "--count")
      count = parse_uint(next).value_or(0), ++i;
    else if (word == "--seed")
      seed = parse_uint(next).value_or(0), ++i;
    else if (word == "--write")
      kept = next, ++i;
    else
      corpus = word;
  }
  const std::vector<Original> originals =
      corpus.empty() ? std::vector<Original>() : read_originals(corpus);
  if (originals.size() < 10 || count == 0) return std::fprintf(stderr, "too small a corpus\n"), 2;
  const TemporaryFolder folder;
  Table table;
  std::size_t missed = 0;
  Dice dice(seed);
  for (std::size_t i = 0; i < count; ++i) {
    const Original& original = originals[i % originals.size()];
    const Mutant mutant = mutate(original, dice);
    const fs::path path = folder.path() / original.path.filename();
    std::ofstream(path, std::ios::binary) << mutant.bytes;
    const std::string caught = caught_by(original, path, mutant);
    ++table[original.format + ": " + mutant.kind][caught];
    if (!kept.empty()) keep(kept, i, original, mutant, caught);
    if (caught != "NOT CAUGHT") continue;
    ++missed;
    std::printf("NOT CAUGHT: mutant %zu of %s, %s\n", i, original.path.filename().c_str(),
                mutant.kind.c_str());
  }
  if (table_wanted) print(table, count);
  std::printf("%zu mutants of %zu files, %zu not caught\n", count, originals.size(), missed);
  return missed == 0 ? 0 : 1;
}
