// SPDX-License-Identifier: MIT
#include "core/box/bootstrap.h"

#include <catch2/catch.hpp>

#include "core/base/process.h"
#include "core/box/local_shell.h"

namespace rgt {
namespace {

std::string all_bytes() {
  std::string bytes;
  for (int i = 1; i < 256; ++i) bytes += static_cast<char>(i);
  return bytes;
}

}  // namespace

TEST_CASE("Arguments and input reach a script byte for byte, whatever they hold") {
  SystemProcessRunner processes;
  LocalShell shell(processes);
  const std::vector<std::string> values{"",
                                        "a b",
                                        "$(touch /tmp/never)",
                                        "`id`",
                                        "'\"",
                                        "\n\nx\n",
                                        "-n",
                                        "--",
                                        "\\0101",
                                        "%s",
                                        "*",
                                        "~",
                                        all_bytes(),
                                        std::string(50000, 'x')};
  ScriptCall call{.script = "for value; do printf '[%s]' \"$value\"; done; cat\n",
                  .args = values,
                  .input = "in\nput without end"};
  const auto outcome = shell.run(call, {});
  REQUIRE(outcome);
  std::string expected;
  for (const std::string& value : values) expected += "[" + value + "]";
  CHECK(outcome->out == expected + call.input);
  CHECK(outcome->err.empty());
}

TEST_CASE("The exit code is the script's, and a signal is 128 and its number") {
  SystemProcessRunner processes;
  LocalShell shell(processes);
  CHECK(shell.run({.script = "exit 7"}, {})->exit_code == 7);
  CHECK(shell.run({.script = "kill -TERM $$"}, {})->exit_code == 143);
}

TEST_CASE("What a chatty login shell prints before the script is not part of the answer") {
  ScriptOutcome outcome;
  outcome.out = "Welcome to GPU cloud!\nabc123\nanswer\n";
  REQUIRE(cut_to_answer(outcome, "abc123", "box"));
  CHECK(outcome.out == "answer\n");
  outcome.out = "This account is currently not available.\n";
  const auto refused = cut_to_answer(outcome, "abc123", "box");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("currently not available") != std::string::npos);
}

TEST_CASE(
    "The command that starts a script holds no value and no character a login shell could trip "
    "on") {
  CHECK(kBootstrap.find('\'') == std::string_view::npos);
  CHECK(kBootstrap.find('!') == std::string_view::npos);
  CHECK(kBootstrap.find('\n') == std::string_view::npos);
}

TEST_CASE("Output beyond the limit is dropped and said to be") {
  SystemProcessRunner processes;
  LocalShell shell(processes);
  ScriptCall call{.script = "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2"};
  call.output_limit = 1000;
  const auto outcome = shell.run(call, {});
  REQUIRE(outcome);
  CHECK(outcome->truncated);
  CHECK(outcome->out.size() <= 1000);
  CHECK(outcome->bytes_received >= 3000000);
}

}  // namespace rgt
