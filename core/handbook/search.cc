// SPDX-License-Identifier: MIT
#include "core/handbook/search.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "core/base/text.h"

namespace rgt {
namespace {

// The usual BM25 constants; entries are short and alike in length, so they matter little.
constexpr double kSaturation = 1.2;
constexpr double kLengthNorm = 0.6;
constexpr double kTitleWeight = 3.0;  // a word of the symptom says more than one of the explanation
constexpr double kTypoWeight = 0.6;   // a corrected word is a guess
constexpr std::size_t kQueryTokens = 64;
constexpr std::size_t kQueryBytes = 4096;
// A match must explain this share of what the query's words are worth, or it is a coincidence; one
// word of several must explain more.
constexpr double kCoverage = 0.34;
constexpr double kCoverageOfOne = 0.6;

constexpr std::string_view kStopWords[] = {
    "a",     "an",    "and",   "are",   "as",    "at",   "be",   "but",  "by",  "can",  "do",
    "does",  "for",   "from",  "has",   "have",  "how",  "i",    "if",   "in",  "into", "is",
    "it",    "its",   "me",    "my",    "no",    "not",  "of",   "on",   "or",  "our",  "so",
    "that",  "the",   "their", "then",  "there", "this", "to",   "up",   "was", "we",   "what",
    "when",  "where", "which", "while", "who",   "why",  "will", "with", "you", "your", "did",
    "after", "all",   "any",   "just",  "get",   "got",  "still"};

bool is_word(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

bool is_cjk(char32_t c) {
  return (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x3040 && c <= 0x30FF);
}

// A crude stem: plural and -ing/-ed forms meet their root.
std::string stem(std::string word) {
  for (const std::string_view ending : {"ing", "ed", "es", "s"}) {
    if (word.size() > ending.size() + 3 && word.ends_with(ending)) {
      word.resize(word.size() - ending.size());
      if (word.size() > 3 && word[word.size() - 1] == word[word.size() - 2]) word.pop_back();
      break;
    }
  }
  if (word.size() > 4 && word.back() == 'e') word.pop_back();
  return word;
}

void add_word(std::string word, std::vector<std::string>& tokens) {
  while (!word.empty() && (word.back() == '.' || word.back() == '-')) word.pop_back();
  word.erase(0, std::min(word.find_first_not_of(".-"), word.size()));
  if (word.empty() || word.size() > 60) return;
  if (std::find(std::begin(kStopWords), std::end(kStopWords), word) != std::end(kStopWords)) return;
  const bool compound = word.find_first_of("._-") != std::string::npos;
  if (compound) {
    std::string part;
    for (const char c : word + ".") {
      if (c != '.' && c != '_' && c != '-') {
        part += c;
        continue;
      }
      if (part.size() > 1) tokens.push_back(stem(part));
      part.clear();
    }
  }
  tokens.push_back(compound ? word : stem(word));
}

bool is_entry(const Section& section) {
  return !section.id.empty() && section.id[0] >= 'A' && section.id[0] <= 'Z';
}

}  // namespace

std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> tokens;
  std::string word;
  std::string previous;  // the CJK character before, for the bigram
  const std::string lower = to_lower(text);
  for (std::size_t i = 0; i < lower.size();) {
    const auto c = static_cast<unsigned char>(lower[i]);
    if (is_word(c)) {
      word += lower[i++];
      previous.clear();
      continue;
    }
    add_word(std::move(word), tokens);
    word.clear();
    if (c < 0x80) {
      previous.clear();
      ++i;
      continue;
    }
    const std::size_t size = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    const std::string symbol = lower.substr(i, size);
    i += size;
    char32_t point = 0;
    if (symbol.size() == 3) {
      point = (static_cast<char32_t>(symbol[0] & 0x0F) << 12) |
              (static_cast<char32_t>(symbol[1] & 0x3F) << 6) |
              static_cast<char32_t>(symbol[2] & 0x3F);
    }
    if (!is_cjk(point)) {
      previous.clear();
      continue;
    }
    if (!previous.empty()) tokens.push_back(previous + symbol);
    previous = symbol;
  }
  add_word(std::move(word), tokens);
  return tokens;
}

SearchIndex::SearchIndex(const std::vector<Section>& sections) : sections_(sections) {
  double total = 0;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    std::unordered_map<std::string, double> weights;
    double length = 0;
    const auto add = [&](std::string_view text, double weight) {
      for (std::string& token : tokens_of(text)) {
        weights[std::move(token)] += weight;
        length += 1;
      }
    };
    add(sections[i].title, kTitleWeight);
    add(sections[i].text, 1);
    for (auto& [token, weight] : weights) postings_[token].push_back({i, weight});
    lengths_.push_back(length);
    total += length;
  }
  if (!sections.empty())
    average_length_ = std::max(1.0, total / static_cast<double>(sections.size()));
}

std::vector<std::string> SearchIndex::corrected(const std::string& token) const {
  std::vector<std::string> near;
  // Words of four letters are each other's typos: "Paris" would find "part".
  if (token.size() < 5 || static_cast<unsigned char>(token[0]) >= 0x80) return near;
  const std::size_t bound = token.size() < 7 ? 1 : 2;
  std::size_t best = bound + 1;
  for (const auto& [word, ignored] : postings_) {
    const std::size_t distance = edit_distance(token, word, bound);
    if (distance < best) near.clear();
    if (distance <= bound && distance <= best) {
      best = distance;
      near.push_back(word);
    }
  }
  return near;
}

std::vector<Match> SearchIndex::find(std::string_view words, std::string_view platform,
                                     std::size_t limit) const {
  words = words.substr(0, kQueryBytes);
  std::vector<Match> matches;
  // An exact id, alone or among other words in its very spelling, is what was asked for.
  for (const std::string_view word : split(trim(words), ' ')) {
    for (const Section& section : sections_) {
      const bool same =
          is_entry(section) &&
          (section.id == word || (words == word && to_lower(section.id) == to_lower(word)));
      if (same) matches.push_back({&section, 1000});
    }
  }
  std::vector<std::string> tokens = tokens_of(words);
  std::set<std::string> unique(tokens.begin(), tokens.end());
  if (unique.size() > kQueryTokens)
    unique = {unique.begin(), std::next(unique.begin(), kQueryTokens)};

  std::vector<double> scores(sections_.size(), 0);
  std::vector<double> covered(sections_.size(), 0);
  std::vector<std::size_t> words_met(sections_.size(), 0);
  const double count = static_cast<double>(sections_.size());
  double worth = 0;
  for (const std::string& token : unique) {
    std::vector<std::string> forms;
    double trust = 1;
    if (postings_.contains(token))
      forms = {token};
    else
      forms = corrected(token), trust = kTypoWeight;
    double best_rarity = std::log(1 + count);  // a word that we do not know is as telling as can be
    if (!forms.empty()) best_rarity = 0;
    std::unordered_map<std::size_t, double> gained;
    for (const std::string& form : forms) {
      const std::vector<Posting>& list = postings_.at(form);
      const double rarity = std::log(1 + (count - static_cast<double>(list.size()) + 0.5) /
                                             (static_cast<double>(list.size()) + 0.5));
      best_rarity = std::max(best_rarity, rarity);
      for (const Posting& posting : list) {
        const double norm =
            kSaturation *
            (1 - kLengthNorm + kLengthNorm * lengths_[posting.section] / average_length_);
        const double gain =
            trust * rarity * posting.weight * (kSaturation + 1) / (posting.weight + norm);
        gained[posting.section] = std::max(gained[posting.section], gain);
      }
    }
    worth += best_rarity;
    for (const auto& [section, gain] : gained) {
      scores[section] += gain;
      covered[section] += best_rarity * trust;
      ++words_met[section];
    }
  }
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    const Section& section = sections_[i];
    const bool one_of_several = unique.size() > 1 && words_met[i] < 2;
    if (scores[i] <= 0 || covered[i] < (one_of_several ? kCoverageOfOne : kCoverage) * worth)
      continue;
    if (!platform.empty() && !section.platform.empty() && section.platform != platform) continue;
    const bool listed = std::any_of(matches.begin(), matches.end(),
                                    [&](const Match& match) { return match.section == &section; });
    // An entry is an answer; a chapter is only where answers stand.
    if (!listed) matches.push_back({&section, scores[i] * (is_entry(section) ? 1.0 : 0.5)});
  }
  std::stable_sort(matches.begin(), matches.end(),
                   [](const Match& a, const Match& b) { return a.score > b.score; });
  if (matches.size() > limit) matches.resize(limit);
  return matches;
}

}  // namespace rgt
