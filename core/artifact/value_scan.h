// SPDX-License-Identifier: MIT
// Which elements of a tensor are not finite numbers, and whether all of it is zero. The tests look
// at bit patterns only, so they vectorise, need no alignment, and byte order is just another
// pattern.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rgt {

// `other`: integers, booleans and types whose special values we do not know; only zeros are seen.
enum class ElementType { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, f8_fnuz, f8_e8m0, other };

struct ValueFacts {
  std::uint64_t not_finite = 0;
  bool all_zero = true;  // also of nothing
};

// Bytes of one element; every width divides 8. 1 for `other`.
std::size_t element_width(ElementType type);

// Looks at the whole elements in `bytes`; a rest shorter than one is seen for zeros only.
ValueFacts scan_values(ElementType type, bool big_endian, std::string_view bytes);

// The same over a stream.
class ValueScan {
 public:
  explicit ValueScan(ElementType type, bool big_endian = false)
      : type_(type), big_endian_(big_endian) {}
  void feed(std::string_view bytes);  // pieces may cut elements anywhere
  std::uint64_t not_finite() const;
  bool all_zero() const;

 private:
  void add(const ValueFacts& facts);

  ElementType type_;
  bool big_endian_;
  std::string carried_ = {};  // the begin of an element whose end has not come yet; under 8 bytes
  ValueFacts facts_ = {};
};

}  // namespace rgt
