// SPDX-License-Identifier: MIT
// What a server can offer beside tools: texts to read, prompts to start from, words to complete.
// The session asks through this interface and knows nothing of what is behind it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace rgt::mcp {

struct Resource {
  std::string uri = {};
  std::string name = {};
  std::string title = {};
  std::string description = {};
  std::string mime_type = "text/markdown";
  std::uint64_t size = 0;  // bytes; 0: not known
};

struct ResourceTemplate {
  std::string uri_template = {};  // RFC 6570, level 1
  std::string name = {};
  std::string title = {};
  std::string description = {};
  std::string mime_type = "text/markdown";
};

struct Prompt {
  struct Argument {
    std::string name = {};
    std::string description = {};
    bool required = false;
  };
  std::string name = {};
  std::string title = {};
  std::string description = {};
  std::vector<Argument> arguments = {};
};

// Safe from several threads. Lists are stable: same order every time.
class Library {
 public:
  virtual ~Library() = default;
  virtual std::vector<Resource> resources() = 0;
  virtual std::vector<ResourceTemplate> templates() = 0;
  virtual Result<Resource> describe(const std::string& uri) = 0;  // not_found
  virtual Result<std::string> read(const std::string& uri) = 0;   // not_found
  virtual std::vector<Prompt> prompts() = 0;
  // The text of one user message. invalid_argument names what is missing; arguments are words only.
  virtual Result<std::string> prompt(const std::string& name,
                                     const std::map<std::string, std::string>& arguments) = 0;
  // Completions of `start` for an argument of a prompt or a template; any order, unbounded.
  virtual std::vector<std::string> complete(const std::string& argument,
                                            const std::string& start) = 0;
};

}  // namespace rgt::mcp
