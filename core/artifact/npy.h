// SPDX-License-Identifier: MIT
// The head of a .npy array, versions 1 to 3: what lies behind it and how much. Its text is a Python
// literal, read by a parser that knows only what numpy writes. Source: numpy/lib/format.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/format.h"
#include "core/artifact/value_scan.h"
#include "core/artifact/zip_archive.h"
#include "core/base/result.h"

namespace rgt {

inline constexpr std::string_view kNpyMagic = "\x93NUMPY";
inline constexpr std::size_t kNpyHeadMost = 1u << 20;  // bytes; numpy itself trusts 10,000

// A run of equal numbers within one element of the array.
struct NpyField {
  std::uint64_t offset = 0, size = 0;  // bytes
  ElementType type = ElementType::other;
  bool big_endian = false;
};

struct NpyHead {
  std::uint64_t size = 0;      // bytes before the values
  std::uint64_t elements = 0;  // of the array
  std::uint64_t item = 0;      // bytes of one element
  std::vector<NpyField> fields = {};
  bool objects = false;  // a pickle lies behind it, of any length

  bool is_plain() const { return fields.size() == 1 && fields[0].size == item; }
  std::uint64_t bytes() const { return elements * item; }  // cannot overflow
};

// How many bytes of `begin` (12 are enough) the head takes. Code::corrupt if it is none.
Result<std::uint64_t> npy_head_size(std::string_view begin);

// `bytes` begin with the whole head. Code::corrupt with what numpy would refuse.
Result<NpyHead> read_npy_head(std::string_view bytes);

// Looks at the values of one array as they come, structured ones field by field.
class NpyScan {
 public:
  explicit NpyScan(const NpyHead& head)
      : head_(head),
        plain_(head.is_plain() ? head.fields[0].type : ElementType::other,
               head.is_plain() && head.fields[0].big_endian) {}
  void feed(std::string_view bytes);
  ValueFacts facts() const;

 private:
  void look(std::string_view items);
  const NpyHead& head_;
  ValueScan plain_;
  std::string carried_ = {};  // the begin of an element whose end has not come yet
  ValueFacts facts_ = {};
};

// Objects are a pickle: its names decide between hostile, damaged and, at best, unverified.
void judge_npy_objects(std::string_view pickle, Judgement& judgement);

// Whether all of an archive is arrays, and the proof of it.
bool is_npz(const ZipArchive& zip);
Result<void> read_npz(const FileBytes& file, const ZipArchive& zip, Depth depth,
                      std::stop_token stop, ArtifactReport& report);

}  // namespace rgt
