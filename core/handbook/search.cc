// SPDX-License-Identifier: MIT
#include "core/handbook/search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>

#include "core/base/embedded.h"
#include "core/base/text.h"

namespace rgt {

extern const std::span<const EmbeddedFile> kSynonymFiles;
extern const std::span<const EmbeddedFile> kAskedAsFiles;

namespace {

// The usual BM25 constants; entries are short and alike in length, so they matter little.
constexpr double kSaturation = 1.2;
constexpr double kLengthNorm = 0.6;
constexpr float kTitleWeight = 3.0F;  // a word of the symptom says more than one of the explanation
constexpr float kAlsoWeight = 2.0F;   // "Also searched as": other words for the symptom
constexpr float kAskedWeight = 2.0F;  // asked_as.tsv: the same, but only for us to read
constexpr double kTypoWeight = 0.6;   // a corrected word is a guess
constexpr double kSynonymWeight = 0.7;
constexpr double kAskedGain = 0.8;     // the question has a phrase whole that people ask by
constexpr double kAskedGainOfAll = 2;  // and nothing else
constexpr std::size_t kAskedTokens = 6;
constexpr double kPairWeight = 0.35;  // neighbours in the question that are neighbours in the title
constexpr double kChapterWeight = 0.5;  // an entry is an answer, a chapter is where answers stand
// A platform's own entry: where the question names the platform, another one, or none.
constexpr double kSamePlatform = 1.15;
constexpr double kOtherPlatform = 0.5;
constexpr double kNoPlatform = 0.8;
// A named platform's entry that does not repeat the name counts as if it did, a little less.
constexpr double kNamedGain = 0.6;
constexpr double kNamedShare = 0.8;
constexpr std::size_t kTermsExpected = 1u
                                       << 16;  // words and pairs; the handbook of 2026 has 40,000
constexpr std::uint32_t kNeverMet = UINT32_MAX;
constexpr std::size_t kWordsExpected = 1u << 15;
constexpr std::size_t kPairsExpected = 1u << 15;
constexpr std::size_t kQueryTokens = 64;
constexpr std::size_t kQueryBytes = 4096;
// A match must explain this share of what the question's words are worth, or it is a coincidence;
// one word of several must explain more.
constexpr double kCoverage = 0.40;
constexpr double kCoverageOfOne = 0.6;
constexpr double kCoverageNamed = 0.2;  // of a question that names a platform: it is about this
// So much score from several words is no coincidence either, however much else was said.
constexpr double kStrongScore = 14;
constexpr std::size_t kStrongWords = 3;
constexpr double kCoverageOfChapter = 0.75;  // a long text has a bit of everything
// A pair of CJK characters that nothing here has may only be the seam of two words.
constexpr double kUnknownCjkWorth = 0.3;

constexpr std::string_view kStopWords[] = {
    "a",    "all",    "almost", "also",  "am",    "an",      "and",       "any",   "anyone",
    "are",  "aren",   "as",     "at",    "be",    "because", "been",      "but",   "by",
    "can",  "could",  "did",    "didn",  "do",    "does",    "doesn",     "don",   "even",
    "for",  "from",   "get",    "going", "got",   "guys",    "had",       "has",   "have",
    "he",   "hello",  "help",   "hi",    "how",   "i",       "if",        "im",    "in",
    "into", "is",     "isn",    "it",    "its",   "just",    "like",      "ll",    "me",
    "my",   "no",     "not",    "now",   "of",    "on",      "or",        "our",   "please",
    "re",   "really", "s",      "so",    "some",  "still",   "t",         "than",  "thanks",
    "that", "the",    "their",  "them",  "then",  "there",   "they",      "thing", "this",
    "to",   "today",  "too",    "up",    "ve",    "very",    "want",      "was",   "wasn",
    "we",   "were",   "what",   "when",  "where", "which",   "while",     "who",   "why",
    "will", "with",   "won",    "would", "wtf",   "yes",     "yesterday", "you",   "your"};

// Ids that are also names of cards or chips: in a sentence "T4" is the GPU.
constexpr std::string_view kAlsoHardware[] = {"L4", "P4", "T4", "M1", "M2", "M3", "M4"};

// Particles between words of a Chinese question.
constexpr std::string_view kParticles[] = {"吗", "呢", "吧", "啊", "的",
                                           "我", "你", "怎", "么", "什"};

template <std::size_t n>
bool among(const std::string_view (&list)[n], std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

// Where the stop words of each letter begin: this is asked of every word there is.
constexpr auto kStopWordsFrom = [] {
  static_assert(std::is_sorted(std::begin(kStopWords), std::end(kStopWords)));
  std::array<std::size_t, 27> from{};
  for (std::size_t letter = 0, at = 0; letter < from.size(); ++letter) {
    while (at < std::size(kStopWords) && kStopWords[at][0] < static_cast<char>('a' + letter)) ++at;
    from[letter] = at;
  }
  return from;
}();

bool is_stop_word(std::string_view word) {
  if (word[0] < 'a' || word[0] > 'z' || word.size() > 9) return false;
  const auto letter = static_cast<std::size_t>(word[0] - 'a');
  for (std::size_t at = kStopWordsFrom[letter]; at < kStopWordsFrom[letter + 1]; ++at) {
    if (kStopWords[at] == word) return true;
  }
  return false;
}

bool is_word(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

bool is_cjk(std::string_view symbol) {
  if (symbol.size() != 3) return false;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(symbol[i]); };
  const unsigned point = (byte(0) & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
  return (point >= 0x3400 && point <= 0x9FFF) || (point >= 0xF900 && point <= 0xFAFF) ||
         (point >= 0x3040 && point <= 0x30FF);
}

// A crude stem: plural and -ing/-ed forms meet their root. Always a prefix of the word.
std::string_view stem(std::string_view word) {
  for (const std::string_view ending : {"ing", "ed", "es", "s"}) {
    if (word.size() < ending.size() + 3 || !word.ends_with(ending)) continue;
    if (ending == "ed" && word[word.size() - 3] == 'e') continue;  // "speed" is no past tense
    if (ending == "s" && word[word.size() - 2] == 's') continue;   // "loss" is no plural
    word.remove_suffix(ending.size());
    if (word.size() > 3 && word[word.size() - 1] == word[word.size() - 2]) word.remove_suffix(1);
    break;
  }
  if (word.size() > 4 && word.back() == 'e') word.remove_suffix(1);
  return word;
}

template <typename Found>
void each_token_of_word(std::string_view word, const Found& found) {
  while (!word.empty() && (word.back() == '.' || word.back() == '-')) word.remove_suffix(1);
  while (!word.empty() && (word.front() == '.' || word.front() == '-')) word.remove_prefix(1);
  if (word.empty() || word.size() > 60 || is_stop_word(word)) return;
  const auto is_joint = [](char c) { return c == '.' || c == '_' || c == '-'; };
  if (std::none_of(word.begin(), word.end(), is_joint)) {
    found(stem(word));
    return;
  }
  for (auto part = word.begin(); part < word.end();) {
    const auto end = std::find_if(part, word.end(), is_joint);
    if (end - part > 1) found(stem({part, end}));
    part = end == word.end() ? end : end + 1;
  }
  found(word);
}

// Calls found(token) for each; the tokens are parts of `lower`.
template <typename Found>
void each_token(std::string_view lower, const Found& found) {
  std::size_t word = std::string_view::npos;      // where the word that we are in begins
  std::size_t previous = std::string_view::npos;  // the CJK character before, for the pair
  for (std::size_t i = 0; i < lower.size();) {
    const auto c = static_cast<unsigned char>(lower[i]);
    if (is_word(c)) {
      if (word == std::string_view::npos) word = i;
      previous = std::string_view::npos;
      ++i;
      continue;
    }
    if (word != std::string_view::npos) each_token_of_word(lower.substr(word, i - word), found);
    word = std::string_view::npos;
    const std::size_t size = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    const std::string_view symbol = lower.substr(i, size);
    const bool joins = is_cjk(symbol) && !among(kParticles, symbol);
    if (joins && previous != std::string_view::npos)
      found(lower.substr(previous, i + size - previous));
    previous = joins ? i : std::string_view::npos;
    i += size;
  }
  if (word != std::string_view::npos) each_token_of_word(lower.substr(word), found);
}

// What of a section answers: an entry without its sources, a chapter without its entries.
std::string_view own_text(const Section& section) {
  const std::string_view text = section.text;
  return text.substr(0, text.find(section.is_entry() ? "\n**Source:**" : "\n### "));
}

// The platform whose own facts these are; what holds on any box over ssh is nobody's own.
std::string_view owner(const Section& section) {
  return section.platform == "generic-ssh" ? std::string_view() : section.platform;
}

std::string_view also_searched_as(std::string_view text) {
  constexpr std::string_view kMark = "**Also searched as:**";
  const std::size_t at = text.find(kMark);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + kMark.size());
  return text.substr(0, text.find('\n'));
}

// asked_as.tsv by id: a line is an id and phrases, with tabs between. '#' begins a remark.
std::unordered_map<std::string_view, std::string_view> phrases_by_id() {
  std::unordered_map<std::string_view, std::string_view> phrases;
  for (const EmbeddedFile& file : kAskedAsFiles) {
    for (const std::string_view line : split(file.text, '\n')) {
      const std::size_t tab = line.find('\t');
      if (tab != std::string_view::npos && !line.starts_with('#'))
        phrases.emplace(line.substr(0, tab), line.substr(tab + 1));
    }
  }
  return phrases;
}

std::uint64_t letters_of(std::string_view word) {
  std::uint64_t letters = 0;
  for (const char c : word) letters |= 1ull << (static_cast<unsigned char>(c) % 64);
  return letters;
}

std::string phrase_of(const std::vector<std::string>& tokens, std::size_t at, std::size_t count) {
  std::string phrase;
  for (std::size_t i = at; i < at + count; ++i) phrase += (i == at ? "" : " ") + tokens[i];
  return phrase;
}

}  // namespace

std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> tokens;
  each_token(to_lower(text), [&](std::string_view token) { tokens.emplace_back(token); });
  return tokens;
}

SearchIndex::SearchIndex(const std::vector<Section>& sections)
    : sections_(sections), words_(kWordsExpected) {
  pairs_.reserve(kPairsExpected);
  terms_.reserve(kTermsExpected);
  newest_met_.reserve(kTermsExpected);
  met_.reserve(kTermsExpected);
  double total = 0;
  const auto asked_as = phrases_by_id();
  for (SectionId i = 0; i < sections.size(); ++i) {
    lengths_.push_back(0);
    const std::string_view text = own_text(sections[i]);
    add(i, sections[i].title, kTitleWeight, true);
    add(i, text, 1, false);
    add(i, also_searched_as(text), kAlsoWeight, true);
    total += lengths_.back();
    add_phrases(i, also_searched_as(text), ',', 0);
    // They lengthen no section: what is asked for in many ways is no less about each of them.
    if (const auto asked = asked_as.find(sections[i].id); asked != asked_as.end())
      add_phrases(i, asked->second, '\t', kAskedWeight);
    if (sections[i].is_entry()) entries_.emplace(to_lower(sections[i].id), i);
  }
  if (!sections.empty())
    average_length_ = std::max(1.0, total / static_cast<double>(sections.size()));
  sort_postings();
  weigh_terms();
  for (const EmbeddedFile& file : kSynonymFiles) read_synonyms(file.text);
}

SearchIndex::TermId SearchIndex::term(std::string_view text) {
  if (const TermId* const known = words_.find(text); known != nullptr) return *known;
  const TermId made = new_term();
  terms_[made].text = words_.add(text, made);
  return made;
}

SearchIndex::TermId SearchIndex::new_term() {
  terms_.emplace_back();
  newest_met_.push_back(kNeverMet);
  return static_cast<TermId>(terms_.size() - 1);
}

namespace {
std::uint64_t pair_key(std::uint32_t left, std::uint32_t right) {
  return std::uint64_t{left} << 32 | right;
}
}  // namespace

SearchIndex::TermId SearchIndex::pair(TermId left, TermId right) {
  const auto [place, fresh] = pairs_.try_emplace(pair_key(left, right), 0);
  if (!fresh) return place->second;
  return place->second = new_term();
}

const SearchIndex::TermId* SearchIndex::find_pair(std::string_view left,
                                                  std::string_view right) const {
  const TermId* const first = find_term(left);
  const TermId* const second = find_term(right);
  if (first == nullptr || second == nullptr) return nullptr;
  const auto known = pairs_.find(pair_key(*first, *second));
  return known == pairs_.end() ? nullptr : &known->second;
}

const SearchIndex::TermId* SearchIndex::find_term(std::string_view text) const {
  return words_.find(text);
}

void SearchIndex::add(SectionId section, std::string_view text, float weight, bool with_pairs) {
  const std::string lower = to_lower(text);
  std::optional<TermId> before;
  each_token(lower, [&](std::string_view token) {
    const TermId here = term(token);
    count(here, section, weight);
    lengths_[section] += 1;
    if (with_pairs && before) count(pair(*before, here), section, weight);
    before = here;
  });
}

void SearchIndex::add_phrases(SectionId section, std::string_view phrases, char separator,
                              float weight) {
  const std::string lower = to_lower(phrases);
  std::string words;
  for (const std::string_view phrase : split(lower, separator)) {
    words.clear();
    std::size_t size = 0;
    each_token(phrase, [&](std::string_view token) {
      if (weight > 0) count(term(token), section, weight);
      words.append(size++ == 0 ? "" : " ").append(token);
    });
    if (size == 0 || size > kAskedTokens) continue;
    std::vector<SectionId>& answers = asked_[words];
    if (answers.empty() || answers.back() != section) answers.push_back(section);
  }
}

void SearchIndex::count(TermId term, SectionId section, float weight) {
  std::uint32_t& newest = newest_met_[term];
  if (newest == kNeverMet || met_[newest].place.section != section) {
    newest = static_cast<std::uint32_t>(met_.size());
    met_.push_back({term, {section, 0}});
    ++terms_[term].count;
  }
  met_[newest].place.weight += weight;
}

// By counting: sections were met in their order, so each term's places are in it too.
void SearchIndex::sort_postings() {
  std::vector<std::uint32_t> next(terms_.size());
  std::uint32_t first = 0;
  for (TermId id = 0; id < terms_.size(); ++id) {
    terms_[id].first = next[id] = first;
    first += terms_[id].count;
  }
  postings_.resize(met_.size());
  for (const MetPosting& met : met_) postings_[next[met.term]++] = met.place;
  met_ = {};
  newest_met_ = {};
}

std::span<const SearchIndex::Posting> SearchIndex::places(TermId term) const {
  return std::span(postings_).subspan(terms_[term].first, terms_[term].count);
}

void SearchIndex::weigh_terms() {
  const double sections = static_cast<double>(sections_.size());
  for (Term& term : terms_) {
    const double met = static_cast<double>(term.count);
    term.rarity = std::log(1 + (sections - met + 0.5) / (met + 0.5));
    term.letters = letters_of(term.text);
  }
}

// A line is a group: phrases that mean the same, with tabs between. '#' begins a remark. A first
// field "@runpod" makes the others names of that platform, which are no synonyms of one another.
void SearchIndex::read_synonyms(std::string_view table) {
  for (const std::string_view line : split(table, '\n')) {
    if (line.starts_with('#')) continue;
    std::vector<std::string> group;
    std::string_view platform;
    if (line.starts_with('@')) platform = line.substr(1, line.find('\t') - 1);
    for (const std::string_view words : split(line, '\t')) {
      const std::vector<std::string> tokens = tokens_of(words);
      if (tokens.empty() || words.starts_with('@')) continue;
      longest_phrase_ = std::max(longest_phrase_, tokens.size());
      group.push_back(phrase_of(tokens, 0, tokens.size()));
    }
    for (const std::string& phrase : group) {
      if (!platform.empty()) {
        platform_names_.emplace(phrase, platform);
        continue;
      }
      for (const std::string& other : group) {
        if (other != phrase) synonyms_[phrase].push_back(other);
      }
    }
  }
}

std::vector<SearchIndex::TermId> SearchIndex::corrected(std::string_view token) const {
  std::vector<TermId> near;
  // Words of four letters are each other's typos: "Paris" would find "part".
  if (token.size() < 5 || static_cast<unsigned char>(token[0]) >= 0x80) return near;
  const std::size_t bound = token.size() < 7 ? 1 : 2;
  const std::uint64_t letters = letters_of(token);
  std::size_t best = bound + 1;
  for (TermId id = 0; id < terms_.size(); ++id) {
    const Term& term = terms_[id];
    // One edit adds or takes at most one letter of each.
    if (std::popcount(term.letters ^ letters) > static_cast<int>(2 * bound)) continue;
    if (term.text.empty()) continue;
    const std::size_t distance = edit_distance(token, term.text, bound);
    if (distance < best) near.clear();
    if (distance <= bound && distance <= best) {
      best = distance;
      near.push_back(id);
    }
  }
  return near;
}

SearchIndex::Idea SearchIndex::idea_of_word(const std::string& token) const {
  Idea idea;
  if (const TermId* known = find_term(token)) {
    idea.wordings.push_back({{*known}, 1, false});
    idea.worth = terms_[*known].rarity;
    return idea;
  }
  for (const TermId id : corrected(token)) {
    idea.wordings.push_back({{id}, kTypoWeight, false});
    idea.worth = std::max(idea.worth, terms_[id].rarity);
  }
  if (idea.wordings.empty()) {
    // A word that we do not know is as telling as can be.
    const bool cjk = static_cast<unsigned char>(token[0]) >= 0x80;
    idea.worth = std::log(1 + static_cast<double>(sections_.size())) * (cjk ? kUnknownCjkWorth : 1);
  }
  return idea;
}

// Cuts the question into ideas: the longest phrase that has synonyms or names a platform, else a
// word.
std::vector<SearchIndex::Idea> SearchIndex::ideas_of(const std::vector<std::string>& tokens) const {
  std::vector<Idea> ideas;
  for (std::size_t at = 0; at < tokens.size();) {
    std::size_t size = std::min(longest_phrase_, tokens.size() - at);
    std::string phrase = phrase_of(tokens, at, size);
    while (size > 1 && !synonyms_.contains(phrase) && !platform_names_.contains(phrase))
      phrase = phrase_of(tokens, at, --size);
    Idea idea = idea_of_word(tokens[at]);
    for (std::size_t i = at + 1; i < at + size; ++i) join(idea, idea_of_word(tokens[i]));
    add_synonyms(phrase, idea);
    if (const auto name = platform_names_.find(phrase); name != platform_names_.end())
      idea.platform = name->second;
    ideas.push_back(std::move(idea));
    at += size;
  }
  return ideas;
}

void SearchIndex::join(Idea& idea, Idea more) {
  idea.worth += more.worth;
  ++idea.words;
  if (idea.wordings.empty())
    idea.wordings = std::move(more.wordings);
  else if (!more.wordings.empty())
    idea.wordings[0].terms.push_back(more.wordings[0].terms[0]);
}

void SearchIndex::add_synonyms(const std::string& phrase, Idea& idea) const {
  const auto group = synonyms_.find(phrase);
  if (group == synonyms_.end()) return;
  for (const std::string& other : group->second) {
    Wording wording{{}, kSynonymWeight, true};
    bool known = true;
    for (const std::string_view word : split(other, ' ')) {
      const TermId* term = find_term(word);
      known = known && term != nullptr;
      if (term != nullptr) wording.terms.push_back(*term);
    }
    if (known) idea.wordings.push_back(std::move(wording));
  }
}

struct SearchIndex::Scores {
  explicit Scores(std::size_t sections)
      : score(sections, 0), covered(sections, 0), words(sections, 0) {}
  std::vector<double> score;
  std::vector<double> covered;     // what of the question's worth is met
  std::vector<std::size_t> words;  // of the question, met
  double worth = 0;
  std::size_t asked = 0;  // words
};

double SearchIndex::gain(TermId term, const Posting& place) const {
  const double norm =
      kSaturation * (1 - kLengthNorm + kLengthNorm * lengths_[place.section] / average_length_);
  return terms_[term].rarity * place.weight * (kSaturation + 1) / (place.weight + norm);
}

void SearchIndex::score(const Idea& idea, Scores& scores) const {
  struct Met {
    double gain = 0, rarity = 0;
    std::size_t words = 0;
  };
  struct Best {
    double gain = 0, share = 0;
    std::size_t words = 0;
  };
  std::unordered_map<SectionId, Best> best;
  for (const Wording& wording : idea.wordings) {
    std::unordered_map<SectionId, Met> met;
    double rarity = 0;
    for (const TermId term : wording.terms) {
      rarity += terms_[term].rarity;
      for (const Posting& place : places(term)) {
        Met& here = met[place.section];
        here.gain += gain(term, place);
        here.rarity += terms_[term].rarity;
        ++here.words;
      }
    }
    for (const auto& [section, here] : met) {
      if (wording.whole && here.words < wording.terms.size()) continue;
      Best& so_far = best[section];
      so_far.gain = std::max(so_far.gain, wording.trust * here.gain);
      so_far.share = std::max(so_far.share, wording.trust * here.rarity / std::max(rarity, 1e-9));
      so_far.words = std::max(so_far.words, wording.whole ? idea.words : here.words);
    }
  }
  for (SectionId i = 0; i < sections_.size() && !idea.platform.empty(); ++i) {
    if (sections_[i].platform != idea.platform) continue;
    Best& so_far = best[i];
    so_far.gain = std::max(so_far.gain, kNamedGain * idea.worth);
    so_far.share = std::max(so_far.share, kNamedShare);
    so_far.words = std::max(so_far.words, idea.words);
  }
  for (const auto& [section, found] : best) {
    scores.score[section] += found.gain;
    scores.covered[section] += found.share * idea.worth;
    scores.words[section] += found.words;
  }
  scores.worth += idea.worth;
  scores.asked += idea.words;
}

void SearchIndex::score_pairs(const std::vector<std::string>& tokens, Scores& scores) const {
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    const TermId* neighbours = find_pair(tokens[i - 1], tokens[i]);
    if (neighbours == nullptr) continue;
    for (const Posting& place : places(*neighbours))
      scores.score[place.section] += kPairWeight * gain(*neighbours, place);
  }
}

// "disk full" asks for what is known to be asked so before what merely has both words.
void SearchIndex::score_phrases(const std::vector<std::string>& tokens, Scores& scores) const {
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    for (std::size_t size = 1; size <= std::min(kAskedTokens, tokens.size() - at); ++size) {
      if (size == 1 && tokens.size() > 1) continue;  // a word of several is met everywhere
      const auto asked = asked_.find(phrase_of(tokens, at, size));
      if (asked == asked_.end()) continue;
      double rarity = 0;
      for (std::size_t i = at; i < at + size; ++i) {
        const TermId* known = find_term(tokens[i]);
        if (known != nullptr) rarity += terms_[*known].rarity;
      }
      const double gain = (size == tokens.size() ? kAskedGainOfAll : kAskedGain) * rarity;
      for (const SectionId section : asked->second) scores.score[section] += gain;
    }
  }
}

// An exact id, alone or among other words in its very spelling, is what was asked for.
std::vector<Match> SearchIndex::ids_named(std::string_view words) const {
  std::vector<Match> matches;
  const std::string_view whole = trim(words);
  for (const std::string_view word : split(whole, ' ')) {
    const auto found = entries_.find(to_lower(word));
    if (found == entries_.end()) continue;
    const Section& section = sections_[found->second];
    const bool meant = word == whole || (section.id == word && !among(kAlsoHardware, word));
    if (meant) matches.push_back({&section, 1000});
  }
  return matches;
}

std::vector<Match> SearchIndex::find(std::string_view words, std::string_view platform,
                                     std::size_t limit) const {
  words = words.substr(0, kQueryBytes);
  std::vector<Match> matches = ids_named(words);
  const std::size_t ids = matches.size();
  std::vector<std::string> tokens;
  for (std::string& token : tokens_of(words)) {
    const bool known = std::find(tokens.begin(), tokens.end(), token) != tokens.end();
    if (!known && tokens.size() < kQueryTokens) tokens.push_back(std::move(token));
  }
  const std::vector<Idea> ideas = ideas_of(tokens);
  std::vector<std::string_view> named;  // platforms
  for (const Idea& idea : ideas) {
    if (!idea.platform.empty()) named.push_back(idea.platform);
  }
  Scores scores(sections_.size());
  for (const Idea& idea : ideas) score(idea, scores);
  score_pairs(tokens, scores);
  score_phrases(tokens, scores);

  for (std::size_t i = 0; i < sections_.size(); ++i) {
    const Section& section = sections_[i];
    const bool one_of_several = scores.asked > 1 && scores.words[i] < 2;
    const double share = !section.is_entry() ? kCoverageOfChapter
                         : one_of_several    ? kCoverageOfOne
                         : named.empty()     ? kCoverage
                                             : kCoverageNamed;
    const bool strong =
        section.is_entry() && scores.score[i] >= kStrongScore && scores.words[i] >= kStrongWords;
    if (scores.score[i] <= 0 || (!strong && scores.covered[i] < share * scores.worth)) continue;
    const std::string_view own = owner(section);
    if (!platform.empty() && !own.empty() && own != platform) continue;
    if (std::any_of(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(ids),
                    [&](const Match& match) { return match.section == &section; }))
      continue;
    double factor = section.is_entry() ? 1 : kChapterWeight;
    if (!own.empty() && platform.empty()) {
      const bool same = std::find(named.begin(), named.end(), own) != named.end();
      factor *= same ? kSamePlatform : named.empty() ? kNoPlatform : kOtherPlatform;
    }
    matches.push_back({&section, scores.score[i] * factor});
  }
  std::stable_sort(matches.begin(), matches.end(),
                   [](const Match& a, const Match& b) { return a.score > b.score; });
  if (matches.size() > limit) matches.resize(limit);
  return matches;
}

}  // namespace rgt
