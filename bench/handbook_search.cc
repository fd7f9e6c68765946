// SPDX-License-Identifier: MIT
// How fast and how well the handbook is searched: handbook_search TSV... prints the time to build
// the index, the time of a lookup, and for each file of paraphrases how often the right entry came
// first and among the first three. A line is: query, ids (any is right; "none"), maybe a platform.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <limits>

#include "core/base/text.h"
#include "core/handbook/handbook.h"
#include "core/handbook/search.h"

namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

struct Tally {
  std::size_t asked = 0, first = 0, among_three = 0;
  std::size_t foreign = 0, refused = 0;  // queries that nothing fits, and how many were told so
  std::vector<double> times = {};        // microseconds, warm
};

void ask(const rgt::Handbook& book, const std::string& line, Tally& tally) {
  const auto fields = rgt::split(line, '\t');
  if (fields.size() < 2) return;
  const std::string_view platform = fields.size() > 2 ? fields[2] : std::string_view();
  (void)book.search(fields[0], platform, 3);
  const auto start = Clock::now();
  const auto matches = book.search(fields[0], platform, 3);
  tally.times.push_back(microseconds_since(start));
  std::string got;
  for (const rgt::Match& match : matches)
    got += " " + match.section->id + "(" + std::to_string(match.score).substr(0, 4) + ")";
  if (fields[1] == "none") {
    ++tally.foreign;
    tally.refused += matches.empty();
    if (!matches.empty()) std::cout << "  " << fields[0] << ": should be none, got" << got << "\n";
    return;
  }
  ++tally.asked;
  const auto ids = rgt::split(fields[1], ' ');
  const auto right = std::find_if(matches.begin(), matches.end(), [&](const rgt::Match& match) {
    return std::find(ids.begin(), ids.end(), match.section->id) != ids.end();
  });
  tally.first += right == matches.begin() && !matches.empty();
  tally.among_three += right != matches.end();
  if (right != matches.begin() || matches.empty()) {
    std::cout << "  " << fields[0] << ": wanted " << fields[1] << ", got"
              << (got.empty() ? " none" : got) << "\n";
  }
}

void report(const char* file, Tally& tally) {
  const auto percent = [](std::size_t part, std::size_t whole) {
    const std::size_t per_mille = whole == 0 ? 0 : (1000 * part + whole / 2) / whole;
    return std::to_string(per_mille / 10) + "." + std::to_string(per_mille % 10);
  };
  std::sort(tally.times.begin(), tally.times.end());
  std::cout << file << ": first " << tally.first << "/" << tally.asked << " ("
            << percent(tally.first, tally.asked) << " %), in three " << tally.among_three << "/"
            << tally.asked << " (" << percent(tally.among_three, tally.asked)
            << " %), foreign refused " << tally.refused << "/" << tally.foreign
            << "; lookup median " << tally.times[tally.times.size() / 2] << " us, slowest "
            << tally.times.back() << " us\n";
}

}  // namespace

int main(int argc, char** argv) {
  const char* folder = std::getenv("RGT_HANDBOOK_DIR");
  const auto start = Clock::now();
  const auto book = rgt::Handbook::load(folder == nullptr ? "" : folder);
  if (!book) {
    std::cerr << book.error().message << "\n";
    return 2;
  }
  const double load = microseconds_since(start) / 1000;
  double index = std::numeric_limits<double>::max();  // the best of nine: others run here too
  for (int i = 0; i < 9; ++i) {
    const auto index_start = Clock::now();
    const rgt::SearchIndex again((*book)->sections());
    index = std::min(index, microseconds_since(index_start));
  }
  std::cout << "handbook loaded in " << load << " ms; the index alone in " << index / 1000
            << " ms\n";
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i]);
    Tally tally;
    for (std::string line; std::getline(file, line);) {
      if (!line.empty() && line[0] != '#') ask(**book, line, tally);
    }
    if (tally.times.empty()) {
      std::cerr << argv[i] << ": no line QUERY <tab> IDS\n";
      return 2;
    }
    report(argv[i], tally);
  }
}
