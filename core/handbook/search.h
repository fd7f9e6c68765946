// SPDX-License-Identifier: MIT
// Search: BM25 over words and pairs of CJK characters, with ids first, titles heavier than text,
// and forgiveness for a misspelt word. Immutable after it was built; safe from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/handbook/handbook.h"

namespace rgt {

// Lower-cased words of letters, digits and inner . _ - (also their parts), and CJK bigrams.
std::vector<std::string> tokens_of(std::string_view text);

class SearchIndex {
 public:
  explicit SearchIndex(const std::vector<Section>& sections);  // kept by reference
  std::vector<Match> find(std::string_view words, std::string_view platform,
                          std::size_t limit) const;

 private:
  struct Posting {
    std::size_t section = 0;
    double weight = 0;  // how often, titles counted more
  };
  std::vector<std::string> corrected(const std::string& token) const;

  const std::vector<Section>& sections_;
  std::map<std::string, std::vector<Posting>, std::less<>> postings_ = {};
  std::vector<double> lengths_ = {};
  double average_length_ = 1;
};

}  // namespace rgt
