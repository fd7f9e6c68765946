// SPDX-License-Identifier: MIT
// What a tool is: a card (what an agent reads) and one function (what happens). No MCP in sight:
// the server and the command line call the very same objects. Header only.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/result.h"

namespace rgt {

struct Annotations {
  bool read_only = false;
  bool destructive = false;
  bool idempotent = false;
  bool open_world = true;
};

struct Card {
  std::string name = {};
  std::string title = {};
  std::string description = {};  // agents pay for every byte: under 1 KB
  Json input_schema = {};        // JSON Schema 2020-12, type object, plain subset (no $ref)
  Json output_schema = {};
  Annotations annotations = {};
  bool long_running = false;  // a client that can should follow it instead of waiting for it
};

// A question for the human behind the client. The fields are typed by the person, never prefilled.
struct Question {
  std::string key = {};  // names the question inside one call; stable across replays
  std::string message = {};
  std::string field = {};  // one required string property
  std::string field_title = {};
  std::string field_description = {};
};

struct Answer {
  // `unavailable`: this client has no channel to a human. `must_wait`: the answer will come with a
  // later replay of the same call (stateless protocol): return at once without side effects.
  enum class Kind { given, declined, cancelled, unavailable, must_wait } kind = Kind::unavailable;
  std::string typed = {};
  std::string who = {};  // "form:<client name>", "terminal:<user>"
};

// What a call may use of its surroundings. Lives as long as the call.
struct Call {
  Time now = {};              // read once when the call began
  std::stop_token stop = {};  // tripped by cancellation, shutdown, or the deadline
  std::function<void(double done, double total, const std::string& message)> progress =
      {};                                           // never empty in practice; check
  std::function<Answer(const Question&)> ask = {};  // empty: nobody to ask

  void report(double done, double total, const std::string& message) const {
    if (progress) progress(done, total, message);
  }
  Answer ask_human(const Question& question) const { return ask ? ask(question) : Answer{}; }
};

// Exit codes of the command line, also the tools' way to say how urgent a result is. `time_up` is
// said only by the commands that wait.
enum class Exit { fine = 0, attention = 1, usage = 2, refused = 3, unreachable = 4, time_up = 5 };

struct ToolResult {
  Json structured = {};   // validates against output_schema, unless is_error
  std::string text = {};  // a report for people, complete by itself, at most 4 KB by default
  bool is_error = false;  // the tool could not be used as asked; text says what to change
  Exit exit = Exit::fine;
};

struct Tool {
  Card card = {};
  std::function<ToolResult(const Json& arguments, const Call& call)> run = {};
};

}  // namespace rgt
