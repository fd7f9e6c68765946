// SPDX-License-Identifier: MIT
#include "core/base/text.h"

#include <random>

#include <catch2/catch.hpp>

namespace rgt {

TEST_CASE("Cleaning removes escape sequences whole, colours and window titles alike") {
  CHECK(clean_text("\x1b[31mred\x1b[0m plain", 100) == "red plain");
  CHECK(clean_text("\x1b]0;title\a text", 100) == " text");
  CHECK(clean_text("\x1b]8;;http://x\x1b\\link", 100) == "link");
  CHECK(clean_text("a\x1b(Bb", 100).find('\x1b') == std::string::npos);
}

TEST_CASE("A broken escape sequence cannot swallow the next line") {
  CHECK(clean_text("\x1b[999999\nTraceback", 100).find("Traceback") != std::string::npos);
  CHECK(clean_text("\x1b]0;never closed\nTraceback", 100).find("Traceback") != std::string::npos);
}

TEST_CASE("A progress bar keeps its last state") {
  CHECK(clean_text("10%\r20%\r30%\ndone\r\n", 100) == "30%\ndone\n");
}

TEST_CASE("Control characters, NUL bytes and bidi overrides are dropped") {
  CHECK(clean_text(std::string("a\0b\x07\x08"
                               "c",
                               6),
                   100) == "abc");
  CHECK(clean_text("safe\u202Eevil\u200B", 100) == "safeevil");
}

TEST_CASE("Invalid UTF-8 becomes the replacement character and the result is always valid") {
  CHECK(clean_text("a\xff"
                   "b",
                   100) ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(clean_text("\xc0\xaf\xed\xa0\x80", 100).find('/') == std::string::npos);
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    CHECK(is_valid_utf8(clean_text(bytes, 64)));
    CHECK(is_valid_utf8(clean_line(bytes, 64)));
    CHECK(clean_text(bytes, 64).size() <= 64);
    CHECK(clean_line(bytes, 64).size() <= 64);
  }
}

TEST_CASE("A long log keeps its end, a long line keeps its start") {
  const std::string log = std::string(100000, 'x') + "\nRuntimeError: the end";
  const std::string kept = clean_text(log, 50);
  CHECK(kept.size() <= 50);
  CHECK(kept.starts_with("[...] "));
  CHECK(kept.ends_with("RuntimeError: the end"));
  CHECK(clean_line("one\ttwo\n  three", 100) == "one two three");
  CHECK(clean_line(std::string(500, 'y'), 10) == "yyyyyyy...");
}

TEST_CASE("Names that could leave a folder or a command are not safe names") {
  CHECK(is_safe_name("sweep-1_lr0.001"));
  for (const char* bad : {"", ".", "..", "a..b", "-rf", "a b", "a/b", "$(x)", "a;b", "a\nb", "ü"}) {
    CHECK_FALSE(is_safe_name(bad));
  }
  CHECK_FALSE(is_safe_name(std::string(65, 'a')));
  CHECK(is_safe_name(std::string(64, 'a')));
}

TEST_CASE("Base64 is strict: what does not round-trip is refused") {
  std::mt19937 random(11);
  for (std::size_t size = 0; size < 70; ++size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
  }
  CHECK(base64_encode("Man") == "TWFu");
  for (const char* bad : {"A", "AAA", "A=AA", "AB==", "AAB=", "AA\nA", "AA A", "===="}) {
    CHECK_FALSE(base64_decode(bad).has_value());
  }
}

TEST_CASE("Numbers are whole strings in range, or nothing") {
  CHECK(parse_uint("18446744073709551615") == 18446744073709551615ull);
  for (const char* bad : {"", " 1", "1 ", "-1", "+1", "0x1", "18446744073709551616"}) {
    CHECK_FALSE(parse_uint(bad).has_value());
  }
  CHECK(parse_int("-5") == -5);
  CHECK(parse_double("2.5") == 2.5);
  for (const char* bad : {"nan", "inf", "1e999", "1,5"}) CHECK_FALSE(parse_double(bad).has_value());
}

TEST_CASE("A misspelt word finds its neighbour, nonsense finds nothing") {
  const std::vector<std::string> known{"verify", "teardown", "launch"};
  CHECK(did_you_mean("verfy", known) == "verify");
  CHECK(did_you_mean("LAUNCH", known) == "launch");
  CHECK_FALSE(did_you_mean("pizza", known).has_value());
  CHECK_FALSE(did_you_mean(std::string(100000, 'v'), known).has_value());
}

TEST_CASE("Sizes are said in binary units") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1536) == "1.5 KiB");
  CHECK(human_bytes(5ull << 30) == "5.0 GiB");
}

}  // namespace rgt
