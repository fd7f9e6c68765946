// SPDX-License-Identifier: MIT
#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace rgt {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kCut = "[...] ";

struct Decoded {
  char32_t point = 0;
  std::size_t size = 0;  // 0: not valid UTF-8 here
};

// RFC 3629: shortest form only, no surrogates, at most U+10FFFF.
Decoded decode(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (size == 0 || lead > 0xF4 || bytes.size() < size) return {};
  char32_t point = lead & (0xFFu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0) != 0x80) return {};
    point = (point << 6) | (at(i) & 0x3Fu);
  }
  constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  if (point < kSmallest[size] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
    return {};
  return {point, size};
}

// Characters that reorder or hide text: a log must not be able to show one thing and say another.
bool is_deceptive(char32_t point) {
  return (point >= 0x80 && point < 0xA0) || (point >= 0x200B && point <= 0x200F) ||
         (point >= 0x202A && point <= 0x202E) || (point >= 0x2060 && point <= 0x2069) ||
         point == 0xFEFF || (point >= 0xE0000 && point <= 0xE007F);
}

// The length of the escape sequence that starts at bytes[0] == ESC (ECMA-48: CSI, OSC and kin).
std::size_t escape_length(std::string_view bytes) {
  if (bytes.size() < 2) return bytes.size();
  const char kind = bytes[1];
  std::size_t i = 2;
  if (kind == '[') {
    while (i < bytes.size() && !(bytes[i] >= 0x40 && bytes[i] <= 0x7E)) {
      if (bytes[i] == '\n') return i;  // a broken sequence must not eat the next line
      ++i;
    }
    return std::min(i + 1, bytes.size());
  }
  if (kind == ']' || kind == 'P' || kind == '_' || kind == '^' || kind == 'X') {
    for (; i < bytes.size() && bytes[i] != '\n'; ++i) {
      if (bytes[i] == '\a') return i + 1;
      if (bytes[i] == '\x1b' && i + 1 < bytes.size() && bytes[i + 1] == '\\') return i + 2;
    }
    return i;
  }
  return kind == '\n' ? 1 : 2;
}

// Appends cleaned text of one input; '\r' not followed by '\n' restarts the line.
void append_clean(std::string_view bytes, std::string& out) {
  std::size_t line_start = out.size();
  for (std::size_t i = 0; i < bytes.size();) {
    const char c = bytes[i];
    if (c == '\x1b') {
      i += escape_length(bytes.substr(i));
    } else if (c == '\n') {
      out += '\n';
      line_start = out.size();
      ++i;
    } else if (c == '\r') {
      const bool line_end = i + 1 == bytes.size() || bytes[i + 1] == '\n' || bytes[i + 1] == '\r';
      if (!line_end) out.resize(line_start);
      ++i;
    } else if (c == '\t') {
      out += c;
      ++i;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      ++i;
    } else if (const Decoded decoded = decode(bytes.substr(i)); decoded.size == 0) {
      out += kReplacement;
      ++i;
    } else {
      if (!is_deceptive(decoded.point)) out += bytes.substr(i, decoded.size);
      i += decoded.size;
    }
  }
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

}  // namespace

std::string clean_text(std::string_view bytes, std::size_t limit) {
  // Cleaning can only shrink or triple the input, so far more than the limit is never looked at.
  const std::size_t window = limit * 4 + 4096;
  bool cut = bytes.size() > window;
  if (cut) bytes.remove_prefix(bytes.size() - window);
  std::string out;
  append_clean(bytes, out);
  if (out.size() <= limit && !cut) return out;
  if (limit <= kCut.size()) return out.substr(0, std::min(limit, out.size()));
  const std::size_t keep = std::min(limit - kCut.size(), out.size());
  std::size_t start = out.size() - keep;
  while (start < out.size() && is_continuation(out[start])) ++start;
  return std::string(kCut) + out.substr(start);
}

std::string clean_line(std::string_view bytes, std::size_t limit) {
  const std::size_t window = limit * 8 + 4096;
  std::string cleaned;
  append_clean(bytes.substr(0, window), cleaned);
  std::string line;
  for (const char c : cleaned) {
    const bool space = c == '\n' || c == '\t' || c == ' ';
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  if (line.size() <= limit) return line;
  std::size_t end = limit > 3 ? limit - 3 : limit;
  while (end > 0 && is_continuation(line[end])) --end;
  line.resize(end);
  return limit > 3 ? line + "..." : line;
}

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Decoded decoded = decode(bytes);
    if (decoded.size == 0) return false;
    bytes.remove_prefix(decoded.size);
  }
  return true;
}

bool is_safe_name(std::string_view name) {
  const auto alnum = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  if (name.empty() || name.size() > 64 || !alnum(name[0])) return false;
  if (name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return alnum(c) || c == '.' || c == '_' || c == '-'; });
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string to_lower(std::string_view ascii) {
  std::string lower(ascii);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string joined;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) joined += separator;
    joined += part;
  }
  return joined;
}

std::optional<std::int64_t> parse_int(std::string_view text) {
  return parse_number<std::int64_t>(text);
}
std::optional<std::uint64_t> parse_uint(std::string_view text) {
  return parse_number<std::uint64_t>(text);
}
std::optional<double> parse_double(std::string_view text) {
  const auto number = parse_number<double>(text);
  return number && std::isfinite(*number) ? number : std::nullopt;
}

std::string base64_encode(std::string_view bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) {
      return k < bytes.size() ? static_cast<unsigned>(static_cast<unsigned char>(bytes[k])) : 0u;
    };
    const unsigned group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    text += kAlphabet[group >> 18];
    text += kAlphabet[group >> 12 & 63];
    text += i + 1 < bytes.size() ? kAlphabet[group >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? kAlphabet[group & 63] : '=';
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return {};
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const std::size_t padding =
        !last ? 0 : (text[i + 3] == '=') + (text[i + 3] == '=' && text[i + 2] == '=');
    unsigned group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const int value = k >= 4 - padding ? 0 : base64_value(text[i + k]);
      if (value < 0) return {};
      group = group << 6 | static_cast<unsigned>(value);
    }
    // Bits that padding throws away must be zero, or two texts would mean the same bytes.
    if ((padding == 1 && (group & 0xFF)) || (padding == 2 && (group & 0xFFFF))) return {};
    bytes += static_cast<char>(group >> 16);
    if (padding < 2) bytes += static_cast<char>(group >> 8 & 0xFF);
    if (padding < 1) bytes += static_cast<char>(group & 0xFF);
  }
  return bytes;
}

std::string short_number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, value < 10 ? "%.2f" : "%.0f", value);
  return text;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t bound) {
  if (a.size() > b.size() + bound || b.size() > a.size() + bound) return bound + 1;
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return std::min(row[b.size()], bound + 1);
}

std::optional<std::string> did_you_mean(std::string_view word,
                                        const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t best_distance = 3;
  if (word.size() > 200) return best;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(to_lower(word), to_lower(candidate), 2);
    if (distance < best_distance && distance * 2 < std::max<std::size_t>(candidate.size(), 2)) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace rgt
