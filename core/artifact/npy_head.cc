// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include "core/artifact/file_bytes.h"
#include "core/artifact/npy.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kNodesMost = 20000;  // of the literal; a structured dtype has dozens
constexpr int kNestingMost = 16;
constexpr std::size_t kRankMost = 64;           // numpy 2's own limit
constexpr std::size_t kFieldsMost = 4096;       // of one element, all nesting resolved
constexpr std::uint64_t kItemMost = 64u << 20;  // bytes of one structured element

Error broken(const std::string& what) {
  return {Code::corrupt, "npy: " + what, "the file is damaged"};
}

// What numpy writes: texts, whole numbers, True and False, tuples, lists, one dict.
struct Literal {
  enum class Kind { text, number, boolean, tuple, list, dict } kind = Kind::text;
  std::string text = {};
  std::uint64_t number = 0;         // of booleans too
  std::vector<Literal> items = {};  // dict: key, value, key, value...
};

class LiteralParser {
 public:
  explicit LiteralParser(std::string_view text) : text_(text) {}

  // The whole text is one literal, with spaces and the newline behind it.
  bool parse(Literal& value) {
    if (!read(value, 0)) return false;
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ == text_.size();
  }

 private:
  bool read(Literal& value, int depth) {
    if (depth > kNestingMost || ++nodes_ > kNodesMost) return false;
    skip_spaces();
    if (at_ == text_.size()) return false;
    switch (const char c = text_[at_]; c) {
      case '\'':
      case '"': return read_text(value, c);
      case '(': return read_items(value, Literal::Kind::tuple, ')', depth);
      case '[': return read_items(value, Literal::Kind::list, ']', depth);
      case '{': return depth == 0 && read_items(value, Literal::Kind::dict, '}', depth);
      default: return read_word(value);
    }
  }

  bool read_text(Literal& value, char quote) {
    value.kind = Literal::Kind::text;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) return ++at_, true;
      // Only field names have escapes, and they are only compared with each other.
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) value.text += text_[at_++];
      value.text += text_[at_];
    }
    return false;
  }

  bool read_word(Literal& value) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0)) ++at_;
    std::string_view word = text_.substr(begin, at_ - begin);
    value.kind = Literal::Kind::boolean;
    if (word == "True" || word == "False") return value.number = word == "True", true;
    if (word.ends_with('L')) word.remove_suffix(1);  // Python 2's long
    const auto number = parse_uint(word);
    value.kind = Literal::Kind::number;
    value.number = number.value_or(0);
    return number.has_value();
  }

  // "(5)" is no tuple, but numpy writes none of those.
  bool read_items(Literal& value, Literal::Kind kind, char close, int depth) {
    value.kind = kind;
    ++at_;
    while (true) {
      skip_spaces();
      if (at_ < text_.size() && text_[at_] == close) return ++at_, true;
      if (!read(value.items.emplace_back(), depth + 1)) return false;
      skip_spaces();
      if (kind == Literal::Kind::dict) {
        if (value.items.back().kind != Literal::Kind::text || !eat(':')) return false;
        if (!read(value.items.emplace_back(), depth + 1)) return false;
        skip_spaces();
      }
      if (!eat(',') && (at_ == text_.size() || text_[at_] != close)) return false;
    }
  }

  bool eat(char c) { return at_ < text_.size() && text_[at_] == c && (++at_, true); }
  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t nodes_ = 0;
};

ElementType float_type(std::uint64_t width) {
  return width == 2   ? ElementType::f16
         : width == 4 ? ElementType::f32
         : width == 8 ? ElementType::f64
                      : ElementType::other;  // long double: its padding has no meaning
}

// Adds what a descr says to the fields of an element, from head.item on. Returns the trouble.
class DescrReader {
 public:
  explicit DescrReader(NpyHead& head) : head_(head) {}

  std::string read(const Literal& descr, int depth = 0) {
    if (descr.kind == Literal::Kind::text) return read_type(descr.text);
    if (descr.kind != Literal::Kind::list || descr.items.empty() || depth > kNestingMost)
      return "descr is neither a type nor a list of fields";
    std::set<std::string> names;
    for (const Literal& field : descr.items) {
      if (auto wrong = read_field(field, names, depth); !wrong.empty()) return wrong;
    }
    return {};
  }

 private:
  std::string read_field(const Literal& field, std::set<std::string>& names, int depth) {
    using Kind = Literal::Kind;
    const std::size_t parts = field.items.size();
    if (field.kind != Kind::tuple || parts < 2 || parts > 3) return "a field is no (name, type)";
    const Literal& name = field.items[0];
    const bool titled = name.kind == Kind::tuple && name.items.size() == 2 &&
                        name.items[0].kind == Kind::text && name.items[1].kind == Kind::text;
    if (name.kind != Kind::text && !titled) return "a field has no name";
    const std::string& word = titled ? name.items[1].text : name.text;
    // Padding has no name.
    if (!word.empty() && !names.insert(word).second)
      return "two fields are named " + clean_line(word, 40);
    std::uint64_t count = 1;
    if (parts == 3) {
      const Literal& shape = field.items[2];
      const auto& sizes = shape.items;
      if (shape.kind == Kind::number) count = shape.number;
      if (shape.kind != Kind::number && shape.kind != Kind::tuple) return "a field's shape is none";
      if (sizes.size() > kRankMost) return "a field has too many dimensions";
      for (const Literal& size : sizes) {
        if (size.kind != Kind::number || __builtin_mul_overflow(count, size.number, &count))
          return "a field's shape is none";
      }
    }
    return read_repeated(field.items[1], count, depth);
  }

  std::string read_repeated(const Literal& type, std::uint64_t count, int depth) {
    const std::uint64_t begin = head_.item;
    const std::size_t first = head_.fields.size();
    if (auto wrong = read(type, depth + 1); !wrong.empty()) return wrong;
    const std::uint64_t one = head_.item - begin;
    std::uint64_t all = 0;
    if (__builtin_mul_overflow(one, count, &all) || all > kItemMost)
      return "an element is larger than we read";
    head_.item = begin + all;
    if (one == 0) return {};
    // Equal numbers side by side are one run; several fields are repeated one by one.
    if (head_.fields.size() == first + 1 && head_.fields[first].size == one) {
      head_.fields[first].size = all;
      return {};
    }
    const std::vector<NpyField> pattern(head_.fields.begin() + static_cast<std::ptrdiff_t>(first),
                                        head_.fields.end());
    if (count == 0) head_.fields.resize(first);
    if (pattern.size() * std::max<std::uint64_t>(count, 1) > kFieldsMost)
      return "an element has more fields than we read";
    for (std::uint64_t i = 1; i < count; ++i) {
      for (NpyField field : pattern) {
        field.offset += i * one;
        head_.fields.push_back(field);
      }
    }
    return {};
  }

  std::string read_type(const std::string& word) {
    const std::string shown = "the type " + clean_line(word, 40) + " is unknown";
    std::string_view text = word;
    const bool big = text.starts_with('>');
    if (!text.empty() && std::string_view("<>|=").find(text[0]) != std::string_view::npos)
      text.remove_prefix(1);
    if (text.empty()) return shown;
    const char kind = text[0];
    text.remove_prefix(1);
    if (kind == 'O') return head_.objects = true, "";
    std::string_view digits = text;
    const bool is_time = kind == 'M' || kind == 'm';
    if (is_time) digits = digits.substr(0, digits.find('['));
    const auto count = parse_uint(digits);
    const bool is_number = std::string_view("biufcMm").find(kind) != std::string_view::npos;
    if (!count || *count > (1u << 30)) return shown;
    std::uint64_t size = *count;
    if (is_number && (size == 0 || size > 32 || (kind == 'b' && size != 1))) return shown;
    if (!is_number && std::string_view("SaUV").find(kind) == std::string_view::npos) return shown;
    if (kind == 'U') size *= 4;
    ElementType type = ElementType::other;
    if (kind == 'f') type = float_type(size);
    if (kind == 'c') type = float_type(size / 2);
    if (head_.fields.size() >= kFieldsMost) return "an element has more fields than we read";
    // What has no bytes costs nothing to declare and would cost a step per element.
    if (size > 0) head_.fields.push_back({head_.item, size, type, big});
    head_.item += size;
    if (head_.fields.size() > 1 && head_.item > kItemMost)
      return "an element is larger than we read";
    return {};
  }

  NpyHead& head_;
};

// The values behind the keys; null if there are other keys, or one twice.
const Literal* value_of(const Literal& dict, std::string_view key) {
  const Literal* value = nullptr;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    if (dict.items[i].text == key) value = value == nullptr ? &dict.items[i + 1] : nullptr;
  }
  return value;
}

}  // namespace

Result<std::uint64_t> npy_head_size(std::string_view begin) {
  if (begin.size() < 10 || !begin.starts_with(kNpyMagic)) return broken("it does not begin so");
  const int version = begin[6];
  if (version < 1 || version > 3 || begin[7] != 0)
    return broken("version " + std::to_string(version) + " is unknown");
  const std::size_t width = version == 1 ? 2 : 4;
  Cursor cursor(begin.substr(8));
  const std::uint64_t length = cursor.little(width);
  if (!cursor.ok()) return broken("it is cut in its head");
  if (length > kNpyHeadMost) return broken("its head would be larger than any");
  return 8 + width + length;
}

Result<NpyHead> read_npy_head(std::string_view bytes) {
  const auto size = npy_head_size(bytes);
  if (!size) return size.error();
  if (*size > bytes.size()) return broken("it is cut in its head");
  const std::size_t text_at = bytes[6] == 1 ? 10 : 12;
  NpyHead head;
  head.size = *size;
  Literal literal;
  LiteralParser parser(bytes.substr(text_at, static_cast<std::size_t>(*size) - text_at));
  if (!parser.parse(literal) || literal.kind != Literal::Kind::dict)
    return broken("its head is not the literal that numpy writes");
  const Literal* descr = value_of(literal, "descr");
  const Literal* order = value_of(literal, "fortran_order");
  const Literal* shape = value_of(literal, "shape");
  if (literal.items.size() != 6 || descr == nullptr || order == nullptr || shape == nullptr)
    return broken("its head does not say exactly descr, fortran_order and shape");
  if (order->kind != Literal::Kind::boolean)
    return broken("fortran_order is neither True nor False");
  if (shape->kind != Literal::Kind::tuple || shape->items.size() > kRankMost)
    return broken("its shape is no tuple of sizes");
  if (auto wrong = DescrReader(head).read(*descr); !wrong.empty()) return broken(wrong);
  head.elements = 1;
  bool empty = false;
  std::uint64_t total = std::max<std::uint64_t>(head.item, 1);
  for (const Literal& length : shape->items) {
    if (length.kind != Literal::Kind::number) return broken("its shape is no tuple of sizes");
    empty |= length.number == 0;
    // Also of empty arrays: numpy multiplies what is not zero.
    if (length.number > 0 &&
        (__builtin_mul_overflow(head.elements, length.number, &head.elements) ||
         __builtin_mul_overflow(total, length.number, &total)))
      return broken("its shape overflows");
  }
  if (empty) head.elements = 0;
  return head;
}

void NpyScan::feed(std::string_view bytes) {
  if (head_.item == 0) return;
  if (head_.is_plain()) return plain_.feed(bytes);
  const auto item = static_cast<std::size_t>(head_.item);
  if (!carried_.empty()) {
    const std::size_t missing = std::min(item - carried_.size(), bytes.size());
    carried_ += bytes.substr(0, missing);
    bytes.remove_prefix(missing);
    if (carried_.size() < item) return;
    look(carried_);
    carried_.clear();
  }
  const std::size_t whole = bytes.size() - bytes.size() % item;
  look(bytes.substr(0, whole));
  carried_ = bytes.substr(whole);
}

ValueFacts NpyScan::facts() const {
  return head_.is_plain() ? ValueFacts{plain_.not_finite(), plain_.all_zero()} : facts_;
}

void NpyScan::look(std::string_view items) {
  const auto add = [&](const ValueFacts& facts) {
    facts_.not_finite += facts.not_finite;
    facts_.all_zero &= facts.all_zero;
  };
  for (std::size_t at = 0; at < items.size(); at += static_cast<std::size_t>(head_.item)) {
    for (const NpyField& field : head_.fields)
      add(scan_values(field.type, field.big_endian,
                      items.substr(at + static_cast<std::size_t>(field.offset),
                                   static_cast<std::size_t>(field.size))));
  }
}

}  // namespace rgt
