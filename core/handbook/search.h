// SPDX-License-Identifier: MIT
// Search: BM25 over words and pairs of CJK characters, with ids first, titles heavier than text,
// synonyms (synonyms.tsv), how people ask for an entry (asked_as.tsv), pairs of neighbouring words,
// and forgiveness for a misspelt word. Immutable after it was built; safe from any thread. Budget:
// the index in 20 ms, a lookup in 1 ms (bench/handbook_search.cc measures both).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/handbook/handbook.h"
#include "core/handbook/word_table.h"

namespace rgt {

// Lower-cased words of letters, digits and inner . _ - (also their parts), cut to their stem, and
// CJK bigrams.
std::vector<std::string> tokens_of(std::string_view text);

class SearchIndex {
 public:
  explicit SearchIndex(const std::vector<Section>& sections);  // kept by reference
  std::vector<Match> find(std::string_view words, std::string_view platform,
                          std::size_t limit) const;

 private:
  using TermId = std::uint32_t;
  using SectionId = std::uint32_t;
  struct Posting {
    SectionId section = 0;
    float weight = 0;  // how often, titles counted more
  };
  struct Term {
    std::string_view text = {};          // owned by words_; empty for a pair
    std::uint32_t first = 0, count = 0;  // its places among postings_, by section
    double rarity = 0;                   // inverse document frequency
    std::uint64_t letters = 0;           // which characters it has: a sieve before edit_distance
  };
  // One way to say a part of the question.
  struct Wording {
    std::vector<TermId> terms = {};
    double trust = 1;
    bool whole = false;  // counts only where all its terms are
  };
  // A part of the question: its words, their synonyms, or what a misspelt word may have been.
  struct Idea {
    std::vector<Wording> wordings = {};
    double worth = 0;  // how telling it is
    std::size_t words = 1;
    std::string_view platform = {};  // that it names, or empty; owned by platform_names_
  };
  struct Scores;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  void add(SectionId section, std::string_view text, float weight, bool with_pairs);
  TermId term(std::string_view text);
  TermId pair(TermId left, TermId right);
  const TermId* find_term(std::string_view text) const;
  const TermId* find_pair(std::string_view left, std::string_view right) const;
  // `weight`: of their words; 0 where those were counted before.
  void add_phrases(SectionId section, std::string_view phrases, char separator, float weight);
  TermId new_term();
  void count(TermId term, SectionId section, float weight);
  std::span<const Posting> places(TermId term) const;
  void sort_postings();
  void weigh_terms();
  void read_synonyms(std::string_view table);
  std::vector<TermId> corrected(std::string_view token) const;
  std::vector<Idea> ideas_of(const std::vector<std::string>& tokens) const;
  static void join(Idea& idea, Idea more);
  void add_synonyms(const std::string& phrase, Idea& idea) const;
  Idea idea_of_word(const std::string& token) const;
  void score(const Idea& idea, Scores& scores) const;
  void score_pairs(const std::vector<std::string>& tokens, Scores& scores) const;
  void score_phrases(const std::vector<std::string>& tokens, Scores& scores) const;
  double gain(TermId term, const Posting& place) const;
  std::vector<Match> ids_named(std::string_view words) const;

  const std::vector<Section>& sections_;
  WordTable words_;
  std::unordered_map<std::uint64_t, TermId> pairs_ = {};  // of neighbours; by both ids
  std::vector<Term> terms_ = {};
  std::vector<Posting> postings_ = {};  // of all terms, one term behind the other
  // While it is built: postings as they are met, and each term's newest of them.
  struct MetPosting {
    TermId term = 0;
    Posting place = {};
  };
  std::vector<MetPosting> met_ = {};
  std::vector<std::uint32_t> newest_met_ = {};
  std::unordered_map<std::string, SectionId, Hash, std::equal_to<>> entries_ = {};  // lower case
  std::vector<float> lengths_ = {};
  double average_length_ = 1;
  // Phrase -> the other phrases of its group; a phrase is its tokens with a space between.
  std::unordered_map<std::string, std::vector<std::string>, Hash, std::equal_to<>> synonyms_ = {};
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> platform_names_ = {};
  std::size_t longest_phrase_ = 1;  // tokens
  // What people ask in just these words, and what answers it.
  std::unordered_map<std::string, std::vector<SectionId>, Hash, std::equal_to<>> asked_ = {};
};

}  // namespace rgt
