// SPDX-License-Identifier: MIT
// Context: what a tool, a prompt or a resource may use of the request that it answers. Written
// against no revision of the protocol: whether a question to the client blocks (a server request,
// up to 2025-11-25) or ends the call to be replayed (MRTR, 2026-07-28) is not the caller's
// business.
#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json.h"

namespace rgt::mcp {

// RFC 5424 severities, as MCP names them.
enum class LogLevel { debug, info, notice, warning, error, critical, alert, emergency };
std::optional<LogLevel> log_level(std::string_view name);
std::string_view name_of(LogLevel level);

// Something only the client can give: elicitation/create, sampling/createMessage or roots/list.
struct InputRequest {
  std::string key = {};  // names it inside the call; the same in every replay
  std::string method = {};
  Json params = Json::object();
  // An answer counts only if we asked before, which the sealed state of a replay proves. Else a
  // client may answer what it knows it will be asked. For what a person must have seen.
  bool must_be_shown = false;
};

struct Inputs {
  // `waiting`: the client will call again with the answers: return at once, without side effects;
  // what you return is dropped. `unavailable`: this client cannot give one of them, did not in
  // time, or is gone.
  enum class Kind { given, waiting, unavailable } kind = Kind::unavailable;
  std::map<std::string, Json> given = {};  // by key; of the shape that the method promises
};

// Lives as long as the call. Every method may be called from any thread.
class Context {
 public:
  virtual ~Context() = default;
  // Tripped by cancellation, the deadline, or the end of the server.
  virtual std::stop_token stop() const = 0;
  virtual const Json& client_capabilities() const = 0;  // an object
  virtual const std::string& client_name() const = 0;   // what it calls itself; "" if it does not
  // Dropped unless the client asked for it and `progress` is more than the last.
  virtual void progress(double progress, std::optional<double> total,
                        const std::string& message) = 0;
  virtual bool wants_progress() const = 0;
  // Dropped unless the client asked for this level.
  virtual void log(LogLevel level, const std::string& logger, const Json& data) = 0;
  virtual Inputs ask(const std::vector<InputRequest>& requests) = 0;
  // Lets the client hang up and fetch the rest later, where the transport can (SSE polling).
  virtual void release_stream() {}
};

// Whether a client with these capabilities can be asked this. `missing` (if given) is set to the
// capabilities object that it would need.
bool can_be_asked(const Json& capabilities, const InputRequest& request, Json* missing = nullptr);
// What is wrong with the client's answer; empty: it has the shape that the method promises, and the
// content of a form fits the form's schema.
std::optional<std::string> malformed_input(const InputRequest& request, const Json& answer);

}  // namespace rgt::mcp
