// SPDX-License-Identifier: MIT
#include "core/profile/profile.h"

#include <catch2/catch.hpp>

#include "core/base/files.h"

namespace rgt {
namespace {

const std::string kGood = R"(---
title: Test
kind: ssh
detach: [tmux]
meter_stop: {verb: "stop", irreversible: true, destroys: "all", keeps: "none"}
storage:
  - {name: "home", path: "~", stop: "yes", destroy: "no"}
danger_clocks: []
verified: "2026-11"
source: "here"
---
# Test
)";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kGood;
  text.replace(text.find(from), from.size(), to);
  return text;
}

std::string why(const std::string& text) {
  const auto profile = parse_profile("test", text);
  return profile ? "" : profile.error().message;
}

}  // namespace

TEST_CASE("A profile's facts are read as they stand") {
  const auto profile = parse_profile("test", kGood);
  REQUIRE(profile);
  CHECK(profile->name == "test");
  CHECK(profile->meter_stop.irreversible);
  REQUIRE(profile->storage.size() == 1);
  CHECK(profile->storage[0].stop == Survives::yes);
  CHECK(profile->storage[0].destroy == Survives::no);
}

TEST_CASE("Each mistake is named with its key, its line, and what was expected") {
  CHECK(why("no frontmatter").find("does not begin with frontmatter") != std::string::npos);
  CHECK(why("---\ntitle: x\n").find("has no end") != std::string::npos);
  CHECK(why(with("kind: ssh", "kind: shh")).find("kind (line 3): expected one of ssh") !=
        std::string::npos);
  CHECK(why(with("kind: ssh", "knd: ssh")).find("did you mean kind?") != std::string::npos);
  CHECK(why(with("title: Test\n", "")).find("title") != std::string::npos);
  CHECK(why(with("irreversible: true", "irreversible: maybe"))
            .find("meter_stop.irreversible (line 5): expected true or false") != std::string::npos);
  CHECK(why(with("stop: \"yes\"", "stop: \"perhaps\"")).find("storage[0].stop") !=
        std::string::npos);
  CHECK(why(with("detach: [tmux]", "detach: tmux")).find("expected a list") != std::string::npos);
  CHECK(why(with("2026-11", "2026-13")).find("verified") != std::string::npos);
  CHECK(why(with("2026-11", "lately")).find("month") != std::string::npos);
  CHECK(why(with("title: Test", "title: [")).find("line") != std::string::npos);
  CHECK(why(with("title: Test", "title: Test\ntitle: Again")).find("twice") != std::string::npos);
  CHECK(why(with("danger_clocks: []", "danger_clocks: [{id: a}]")).find("danger_clocks[0]") !=
        std::string::npos);
  CHECK(why(with("title: Test", "title: \xff")).find("UTF-8") != std::string::npos);
}

TEST_CASE("Texts made to exhaust a YAML reader are refused") {
  CHECK_FALSE(why(with("title: Test", "title: &a [x]\nsource2: *a")).empty());
  CHECK_FALSE(why(with("title: Test", "title: " + std::string(100000, '['))).empty());
  CHECK_FALSE(why(with("title: Test", "title: " + std::string(100000, 'x'))).empty());
  std::string deep = "title: x\n";
  for (int i = 0; i < 200; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK_FALSE(why(with("title: Test\n", deep)).empty());
}

TEST_CASE("Every cut of a profile is an error or the same profile, never a crash") {
  for (std::size_t size = 0; size < kGood.size(); ++size)
    (void)parse_profile("test", kGood.substr(0, size));
}

}  // namespace rgt
