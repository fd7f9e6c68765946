// SPDX-License-Identifier: MIT
#include "core/artifact/json_walk.h"

#include <set>

#include "core/artifact/json_text.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kDepthMost = 64;

// Where the walk is: the object or list it is in, and those around it.
struct Level {
  bool list = false;
  std::size_t count = 0;            // of a list's elements
  std::set<std::string> keys = {};  // of an object
};

class Walker : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Walker(const TakeScalar& take) : take_(take) {}
  std::string trouble = {};

  using Kind = JsonScalar::Kind;
  bool null() override { return scalar({}); }
  bool boolean(bool value) override { return scalar({.kind = Kind::boolean, .integer = value}); }
  bool number_integer(number_integer_t value) override {
    return scalar({.kind = Kind::integer, .integer = value, .real = static_cast<double>(value)});
  }
  bool number_unsigned(number_unsigned_t value) override {
    const auto most = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
    return scalar({.kind = Kind::integer,
                   .integer = static_cast<std::int64_t>(std::min(value, most)),
                   .real = static_cast<double>(value)});
  }
  bool number_float(number_float_t value, const string_t&) override {
    return scalar({.kind = Kind::real, .real = value});
  }
  bool string(string_t& value) override { return scalar({.kind = Kind::text, .text = value}); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(false); }
  bool start_array(std::size_t) override { return open(true); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    if (!levels_.back().keys.insert(value).second) {
      trouble = "it has the key " + clean_line(value, 80) + " twice";
      return false;
    }
    path_.back() = value;
    return true;
  }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception&) override {
    trouble = "it is no whole JSON text (byte " + std::to_string(at) + ")";
    return false;
  }

 private:
  // An element of a list gets its place in it.
  void step() {
    if (!levels_.empty() && levels_.back().list)
      path_.back() = std::to_string(levels_.back().count++);
  }
  bool scalar(JsonScalar value) {
    step();
    value.in_list = !levels_.empty() && levels_.back().list;
    take_(path_, value);
    return true;
  }
  bool open(bool list) {
    step();
    if (levels_.size() == kDepthMost) {
      trouble = "it is nested deeper than any such file";
      return false;
    }
    levels_.push_back({.list = list});
    path_.emplace_back();
    return true;
  }
  bool close() {
    levels_.pop_back();
    path_.pop_back();
    return true;
  }

  const TakeScalar& take_;
  std::vector<Level> levels_ = {};
  JsonPath path_ = {};
};

}  // namespace

Result<void> walk_json(std::string_view text, const TakeScalar& take) {
  std::size_t ignored = 0;
  Walker walker(take);
  if (nlohmann::json::sax_parse(without_specials(text, ignored), &walker)) return {};
  return Error{Code::corrupt, walker.trouble, "it was cut or damaged"};
}

}  // namespace rgt
