// SPDX-License-Identifier: MIT
// The command line as a struct. --help is made from this file; the contract of the commands and
// exit codes is in README.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace rgt {

struct Options {
  std::string command = {};    // "serve", "call", "audit", ...
  bool json = false;           // print exactly the structured result
  std::string tool = {};       // call
  std::string arguments = {};  // call: JSON text, or "-" for standard input
  std::string box = {};        // audit, teardown, launch
  std::string profile = {};
  std::string run = {};                     // probe, verify, patrol, show, abandon, launch
  std::string pattern = {};                 // probe
  std::string until = {};                   // wait: ended, done or a marker
  std::string timeout = {};                 // wait: "30m"
  std::string every = {};                   // wait, patrol --watch: between looks
  bool watch = false;                       // patrol
  std::string watch_for = {};               // patrol --watch --for
  std::string job_file = {};                // launch: path or "-"
  std::string resume = {};                  // launch --resume RUN
  std::vector<std::string> artifacts = {};  // launch --artifact
  std::vector<std::string> words = {};      // lookup; launch: the command after --
  std::string platform = {};                // lookup
  std::string into = {};                    // verify
  bool repull = false;                      // verify
  std::string bundle = {};                  // verify --bundle FOLDER
  double price_per_hour = 0;                // teardown
  std::string request = {};                 // approve
  std::vector<std::string> paths = {};      // check, audit --path
  std::string depth = {};                   // check
  bool no_digest = false;                   // check
  std::string file = {};                    // triage, eval
  std::optional<int> exit_code = {};        // triage
  std::string signal = {};                  // triage: name or number
  std::vector<std::string> labelled = {};   // triage --labelled
  std::string filter = {};                  // eval
  std::string junit = {};                   // eval: file to write
  std::string handbook = {};                // eval: folder whose handbook the servers take
  std::size_t jobs = 1;                     // eval: cases at once
  bool facts = false;                       // doctor: stale facts instead of this machine
  int max_age = 6;                          // doctor --facts: months
  std::string family = "U";                 // note: letters of the id
  std::string symptom = {};                 // note, as the next five
  std::string cause = {};
  std::string fix = {};
  std::string check = {};
  std::string also = {};
  std::string source = {};
  std::string http = {};        // serve: ADDRESS:PORT; "" for standard input. eval: a server's URL
  std::string token_file = {};  // serve --http
  std::vector<std::string> hosts = {};    // serve --http: names that clients may call us by
  std::vector<std::string> origins = {};  // serve --http: web pages that may call
};

// nullopt: nothing to run; `exit_code` says how to end (help, version, or wrong usage already told
// on stderr).
struct ParsedOptions {
  std::optional<Options> options = {};
  int exit_code = 0;
};
ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace rgt
