// SPDX-License-Identifier: MIT
// Text from outside made safe to show: bounded, valid UTF-8, no control characters.
// Also the few string helpers that three places needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rgt {

// Untrusted bytes -> printable UTF-8. ANSI escape sequences (CSI, OSC, two-byte) are removed whole;
// other control characters but '\n' and '\t' are dropped; '\r' keeps only what follows it on its
// line (a progress bar's last state); invalid UTF-8 becomes U+FFFD; Unicode bidi and zero-width
// controls are dropped. The result has at most `limit` bytes; a cut keeps the END and starts
// with "[...] " (logs matter at their end).
std::string clean_text(std::string_view bytes, std::size_t limit);

// The same on one line: newlines and tabs become spaces, runs of spaces fold; keeps the START.
std::string clean_line(std::string_view bytes, std::size_t limit);

bool is_valid_utf8(std::string_view bytes);

// A run, cell or box-safe name: [A-Za-z0-9][A-Za-z0-9._-]{0,63} and no "..". Such a name is safe as
// a path component, an argument and a tmux session name after dots are replaced.
bool is_safe_name(std::string_view name);
inline constexpr std::string_view kSafeNameRule =
    "1-64 characters from A-Z a-z 0-9 . _ -, starting with a letter or digit, without '..'";

std::vector<std::string_view> split(std::string_view text, char separator);  // keeps empty parts
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view ascii);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// Whole-string, base 10, no sign for the unsigned form; nullopt on anything else or overflow.
std::optional<std::int64_t> parse_int(std::string_view text);
std::optional<std::uint64_t> parse_uint(std::string_view text);
std::optional<double> parse_double(std::string_view text);  // finite values only

std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);  // strict alphabet and padding

std::string short_number(double value);  // "0.41", "31200": two decimals below ten, none above
std::string human_bytes(std::uint64_t bytes);  // "1.5 GiB": binary units, one decimal

// Levenshtein's distance, or bound + 1 as soon as it is known to be larger than `bound`.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t bound);

// The closest of `known` to a misspelt `word` (edit distance at most 2 and under half its length).
std::optional<std::string> did_you_mean(std::string_view word,
                                        const std::vector<std::string>& known);

}  // namespace rgt
