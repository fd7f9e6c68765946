// SPDX-License-Identifier: MIT
// What a server can offer beside tools: texts to read, prompts to start from, words to complete.
// The service asks through this interface and knows nothing of what is behind it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "server/mcp/context.h"

namespace rgt::mcp {

struct Resource {
  std::string uri = {};
  std::string name = {};
  std::string title = {};
  std::string description = {};
  std::string mime_type = "text/markdown";
  std::uint64_t size = 0;      // bytes; 0: not known
  Json annotations = nullptr;  // audience, priority, lastModified; left out when null
  Json icons = nullptr;
};

struct ResourceTemplate {
  std::string uri_template = {};  // RFC 6570, level 1
  std::string name = {};
  std::string title = {};
  std::string description = {};
  std::string mime_type = "text/markdown";
};

struct Contents {
  std::string uri = {};
  std::string mime_type = {};
  std::string bytes = {};  // UTF-8 text unless `binary`
  bool binary = false;
};

struct ReadResult {
  std::vector<Contents> contents = {};       // never empty
  Milliseconds fresh_for = Milliseconds(0);  // how long a client may keep it
  bool shareable = false;                    // the same for every user
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

struct PromptResult {
  std::string description = {};
  Json messages = Json::array();  // {role, content} as the specification has them
};
// One message of the user with this text.
PromptResult user_prompt(const std::string& description, const std::string& text);

// An Agent Skill and all its files (extension io.modelcontextprotocol/skills, SEP-2640).
struct Skill {
  struct File {
    std::string uri = {};  // below the skill's folder; `read` answers it with exactly these bytes
    std::string sha256 = {};  // 64 lower-case hexadecimal digits
    std::uint64_t size = 0;   // bytes
  };
  std::string uri = {};  // of its SKILL.md; the folder's name is the frontmatter's `name`
  Json frontmatter = Json::object();
  std::vector<File> files = {};  // complete; SKILL.md is one of them
};

// Safe from several threads. Lists are stable: same order every time, no uri or name twice.
class Library {
 public:
  virtual ~Library() = default;
  virtual std::vector<Resource> resources() = 0;
  virtual std::vector<ResourceTemplate> templates() = 0;
  virtual Result<ReadResult> read(const std::string& uri) = 0;  // not_found
  virtual std::vector<Prompt> prompts() = 0;
  // Required arguments are there; arguments are words only. invalid_argument names what is wrong.
  virtual Result<PromptResult> prompt(const std::string& name,
                                      const std::map<std::string, std::string>& arguments,
                                      Context& context) = 0;
  // Whether the extension is declared; asked at every handshake, so cheap.
  virtual bool has_skills() { return false; }
  virtual std::vector<Skill> skills() { return {}; }  // each a complete manifest
  // Completions of `start` for an argument of a prompt or a template; any order, unbounded.
  virtual std::vector<std::string> complete(const std::string& argument,
                                            const std::string& start) = 0;
};

}  // namespace rgt::mcp
