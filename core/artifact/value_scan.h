// SPDX-License-Identifier: MIT
// ValueScan: counts what is not a finite number in a stream of tensor elements. The tests look at
// the exponent bits only, so they vectorise and need no alignment.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rgt {

// `other`: integers, booleans and types whose special values we do not know; only zeros are
// counted.
enum class ElementType { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, other };

class ValueScan {
 public:
  explicit ValueScan(ElementType type) : type_(type) {}
  void feed(std::string_view bytes);  // pieces may cut elements anywhere
  std::uint64_t not_finite() const;
  bool all_zero() const { return all_zero_; }

 private:
  void count(std::string_view whole_elements);

  ElementType type_;
  std::string carried_ = {};  // the begin of an element whose end has not come yet; under 8 bytes
  std::uint64_t not_finite_ = 0;
  bool all_zero_ = true;
};

}  // namespace rgt
