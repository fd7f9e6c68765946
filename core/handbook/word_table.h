// SPDX-License-Identifier: MIT
// WordTable: words to numbers, for an index that is built from a hundred thousand of them before
// the first answer: one block of slots instead of a node per word. Words stay where they are put.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace rgt {

class WordTable {
 public:
  explicit WordTable(std::size_t words) : slots_(power_of_two(words * 2)) {}

  // nullptr: not there.
  const std::uint32_t* find(std::string_view word) const {
    const Slot& slot = slots_[place(word)];
    return slot.bytes == nullptr ? nullptr : &slot.number;
  }

  // A word that is not there yet. The view that comes back lives as long as the table.
  std::string_view add(std::string_view word, std::uint32_t number) {
    if (++count_ * 2 > slots_.size()) grow();
    Slot& slot = slots_[place(word)];
    slot = {keep(word), static_cast<std::uint32_t>(word.size()), number};
    return {slot.bytes, slot.size};
  }

 private:
  struct Slot {
    const char* bytes = nullptr;  // nullptr: free
    std::uint32_t size = 0;
    std::uint32_t number = 0;
  };
  static constexpr std::size_t kChunk = 1u << 16;  // bytes of words that are allocated together

  static std::size_t power_of_two(std::size_t least) {
    std::size_t size = 64;
    while (size < least) size *= 2;
    return size;
  }

  // Where the word is, or where it would be.
  std::size_t place(std::string_view word) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = std::hash<std::string_view>{}(word)&mask;
    while (slots_[at].bytes != nullptr &&
           std::string_view(slots_[at].bytes, slots_[at].size) != word)
      at = (at + 1) & mask;
    return at;
  }

  const char* keep(std::string_view word) {
    if (left_ < word.size()) {
      left_ = std::max(kChunk, word.size());
      chunks_.push_back(std::make_unique<char[]>(left_));
      free_ = chunks_.back().get();
    }
    char* const kept = free_;
    std::memcpy(kept, word.data(), word.size());
    free_ += word.size();
    left_ -= word.size();
    return kept;
  }

  void grow() {
    std::vector<Slot> before(slots_.size() * 2);
    before.swap(slots_);
    for (const Slot& slot : before) {
      if (slot.bytes != nullptr) slots_[place({slot.bytes, slot.size})] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
  std::vector<std::unique_ptr<char[]>> chunks_ = {};
  char* free_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace rgt
