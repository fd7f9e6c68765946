// SPDX-License-Identifier: MIT
#include "core/artifact/value_scan.h"

#include <algorithm>
#include <cstring>

namespace rgt {
namespace {

// Elements with all exponent bits set: infinities and NaNs in every IEEE layout.
template <class Word>
std::uint64_t count_exponents(std::string_view bytes, Word mask) {
  std::uint64_t count = 0;
  for (std::size_t at = 0; at + sizeof(Word) <= bytes.size(); at += sizeof(Word)) {
    Word word;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    count += (word & mask) == mask;
  }
  return count;
}

bool is_zero(std::string_view bytes) {
  std::size_t at = 0;
  std::uint64_t any = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    any |= word;
  }
  for (; at < bytes.size(); ++at) any |= static_cast<unsigned char>(bytes[at]);
  return any == 0;
}

}  // namespace

void ValueScan::feed(std::string_view bytes) {
  constexpr std::size_t kWidest = 8;  // bytes of the widest element; all widths divide it
  if (all_zero_) all_zero_ = is_zero(bytes);
  if (!carried_.empty()) {
    const std::size_t missing = std::min(kWidest - carried_.size(), bytes.size());
    carried_ += bytes.substr(0, missing);
    bytes.remove_prefix(missing);
    if (carried_.size() < kWidest) return;
    count(carried_);
    carried_.clear();
  }
  const std::size_t whole = bytes.size() - bytes.size() % kWidest;
  count(bytes.substr(0, whole));
  carried_ = bytes.substr(whole);
}

std::uint64_t ValueScan::not_finite() const {
  ValueScan rest(type_);
  rest.count(carried_);  // what is left when the stream ended
  return not_finite_ + rest.not_finite_;
}

void ValueScan::count(std::string_view bytes) {
  switch (type_) {
    case ElementType::f64:
      not_finite_ += count_exponents<std::uint64_t>(bytes, 0x7FF0000000000000ull);
      break;
    case ElementType::f32: not_finite_ += count_exponents<std::uint32_t>(bytes, 0x7F800000u); break;
    case ElementType::f16: not_finite_ += count_exponents<std::uint16_t>(bytes, 0x7C00u); break;
    case ElementType::bf16: not_finite_ += count_exponents<std::uint16_t>(bytes, 0x7F80u); break;
    case ElementType::f8_e5m2: not_finite_ += count_exponents<std::uint8_t>(bytes, 0x7Cu); break;
    // OCP FP8 E4M3 has no infinity and one NaN pattern per sign.
    case ElementType::f8_e4m3: not_finite_ += count_exponents<std::uint8_t>(bytes, 0x7Fu); break;
    case ElementType::other: break;
  }
}

}  // namespace rgt
