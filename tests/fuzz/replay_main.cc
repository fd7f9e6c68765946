// SPDX-License-Identifier: MIT
// A fuzz target without libFuzzer, for the tests: FOLDER... plays every file in them as it is, and
// then a fixed number of seeded mutations of each. Long runs are `./dev fuzz`.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int kMutations = 300;  // of each file: about a second for the slowest target

void play(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

// Flips, cuts, repeats or splices a piece.
std::string mutated(std::string bytes, const std::vector<std::string>& others, std::mt19937& dice) {
  const auto below = [&](std::size_t end) { return end == 0 ? 0 : dice() % end; };
  for (std::size_t rounds = 1 + below(4); rounds > 0; --rounds) {
    const std::size_t at = below(bytes.size());
    const std::size_t length = below(std::min<std::size_t>(bytes.size() - at, 64) + 1);
    switch (below(4)) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(dice());
        break;
      case 1: bytes.erase(at, length); break;
      case 2: bytes.insert(at, bytes.substr(at, length)); break;
      default: {
        const std::string& other = others[below(others.size())];
        const std::size_t from = below(other.size());
        bytes.replace(at, length, other.substr(from, below(64)));
      }
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> corpus;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  if (corpus.empty()) return std::fprintf(stderr, "no corpus\n"), 2;
  std::mt19937 dice(20261124);
  for (const std::string& bytes : corpus) {
    play(bytes);
    for (int i = 0; i < kMutations; ++i) play(mutated(bytes, corpus, dice));
  }
  std::printf("%zu files, %d mutations of each\n", corpus.size(), kMutations);
  return 0;
}
