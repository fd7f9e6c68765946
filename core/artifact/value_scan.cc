// SPDX-License-Identifier: MIT
#include "core/artifact/value_scan.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace rgt {
namespace {

// An element is not finite if (element & mask) == want.
template <class Word>
struct Pattern {
  Word mask = 0, want = 0;
};

constexpr std::size_t kBlock = 8192;  // bytes: looked at twice only if something is in it
constexpr std::size_t kWidest = 8;    // bytes of the widest element; all widths divide it

template <class Word>
Word word_at(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

struct Sight {
  bool any = false, hit = false;
};

// Two OR-reductions of the element's own width: what compilers turn into full vectors.
template <class Word>
[[gnu::always_inline]] inline Sight look(const char* bytes, std::size_t words, Pattern<Word> of) {
  Word any = 0, hit = 0;
  for (std::size_t i = 0; i < words; ++i) {
    const Word word = word_at<Word>(bytes + i * sizeof(Word));
    any = static_cast<Word>(any | word);
    const bool special = (word & of.mask) == of.want;
    hit = static_cast<Word>(hit | static_cast<Word>(special ? ~Word{0} : Word{0}));
  }
  return {any != 0, hit != 0};
}

#if defined(__x86_64__)
// The program is built for any x86-64; the better half of it is used where it is there.
template <class Word>
[[gnu::target("avx2")]] Sight look_avx2(const char* bytes, std::size_t words, Pattern<Word> of) {
  return look(bytes, words, of);
}
bool has_avx2() { return __builtin_cpu_supports("avx2") != 0; }
#else
template <class Word>
Sight look_avx2(const char* bytes, std::size_t words, Pattern<Word> of) {
  return look(bytes, words, of);
}
bool has_avx2() { return false; }
#endif

template <class Word>
std::uint64_t count(const char* bytes, std::size_t words, Pattern<Word> of) {
  std::uint64_t found = 0;
  for (std::size_t i = 0; i < words; ++i)
    found += (word_at<Word>(bytes + i * sizeof(Word)) & of.mask) == of.want;
  return found;
}

template <class Word>
ValueFacts scan(std::string_view bytes, Pattern<Word> of) {
  const bool wide = has_avx2();
  ValueFacts facts;
  while (bytes.size() >= sizeof(Word)) {
    const std::size_t words = std::min(bytes.size(), kBlock) / sizeof(Word);
    const Sight sight = wide ? look_avx2(bytes.data(), words, of) : look(bytes.data(), words, of);
    if (sight.any) facts.all_zero = false;
    if (sight.hit) facts.not_finite += count(bytes.data(), words, of);
    bytes.remove_prefix(words * sizeof(Word));
  }
  if (std::any_of(bytes.begin(), bytes.end(), [](char c) { return c != 0; }))
    facts.all_zero = false;
  return facts;
}

template <class Word>
constexpr Word swapped(Word word) {
  Word result = 0;
  for (std::size_t i = 0; i < sizeof(Word); ++i, word = static_cast<Word>(word >> 8))
    result = static_cast<Word>(result << 8 | (word & 0xFF));
  return result;
}

// All exponent bits set: infinities and NaNs in every IEEE layout.
template <class Word>
ValueFacts scan_ieee(std::string_view bytes, Word exponent, bool big_endian) {
  const Word mask = big_endian ? swapped(exponent) : exponent;
  return scan<Word>(bytes, {mask, mask});
}

}  // namespace

std::size_t element_width(ElementType type) {
  switch (type) {
    case ElementType::f64: return 8;
    case ElementType::f32: return 4;
    case ElementType::f16:
    case ElementType::bf16: return 2;
    default: return 1;
  }
}

ValueFacts scan_values(ElementType type, bool big_endian, std::string_view bytes) {
  static_assert(std::endian::native == std::endian::little, "patterns are little-endian words");
  switch (type) {
    case ElementType::f64:
      return scan_ieee<std::uint64_t>(bytes, 0x7FF0000000000000ull, big_endian);
    case ElementType::f32: return scan_ieee<std::uint32_t>(bytes, 0x7F800000u, big_endian);
    case ElementType::f16: return scan_ieee<std::uint16_t>(bytes, 0x7C00u, big_endian);
    case ElementType::bf16: return scan_ieee<std::uint16_t>(bytes, 0x7F80u, big_endian);
    case ElementType::f8_e5m2: return scan<std::uint8_t>(bytes, {0x7C, 0x7C});
    // OCP FP8 E4M3 has no infinity and one NaN pattern per sign; the FNUZ types have one NaN, where
    // others have -0; E8M0 is an exponent only.
    case ElementType::f8_e4m3: return scan<std::uint8_t>(bytes, {0x7F, 0x7F});
    case ElementType::f8_fnuz: return scan<std::uint8_t>(bytes, {0xFF, 0x80});
    case ElementType::f8_e8m0: return scan<std::uint8_t>(bytes, {0xFF, 0xFF});
    case ElementType::other: return scan<std::uint64_t>(bytes, {0, 1});  // matches nothing
  }
  return {};
}

void ValueScan::feed(std::string_view bytes) {
  if (!carried_.empty()) {
    const std::size_t missing = std::min(kWidest - carried_.size(), bytes.size());
    carried_ += bytes.substr(0, missing);
    bytes.remove_prefix(missing);
    if (carried_.size() < kWidest) return;
    add(scan_values(type_, big_endian_, carried_));
    carried_.clear();
  }
  const std::size_t whole = bytes.size() - bytes.size() % kWidest;
  add(scan_values(type_, big_endian_, bytes.substr(0, whole)));
  carried_ = bytes.substr(whole);
}

void ValueScan::add(const ValueFacts& facts) {
  facts_.not_finite += facts.not_finite;
  facts_.all_zero &= facts.all_zero;
}

std::uint64_t ValueScan::not_finite() const {
  return facts_.not_finite + scan_values(type_, big_endian_, carried_).not_finite;
}

bool ValueScan::all_zero() const {
  return facts_.all_zero && scan_values(type_, big_endian_, carried_).all_zero;
}

}  // namespace rgt
