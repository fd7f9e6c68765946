// SPDX-License-Identifier: MIT
// Result<T>: either a value or an Error, the only way a module reports "the world said no".
// Our own bugs abort through require(); a sick run is a normal value, never an Error.
// Thread-safety: values; share them like any other value.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace rgt {

// Closed list: callers may switch on it, and the CLI maps it to exit codes (docs in options.cc).
enum class Code {
  invalid_argument,  // the caller gave something that cannot be right
  not_found,         // no such run, box, file, entry
  conflict,          // the name is taken by something else
  refused,           // a gate or a policy said no
  unreachable,       // the box did not answer, in time or at all
  auth_failed,       // the box answered and would not let us in
  host_key_unknown,  // never seen: a human must accept it
  host_key_changed,  // seen before with another key: never continue
  timeout,           // the work began and outlived its deadline
  cancelled,         // the caller asked to stop
  io,                // this machine's disk or a pipe failed
  corrupt,           // bytes that do not mean what they must
  remote_failed,     // the box ran our script and the script failed
  missing_tool,      // a program that is needed is not installed
  limit,             // a bound on size, depth or count was hit
};

// The code's name exactly as written above; stable, used in JSON.
constexpr std::string_view code_name(Code code) {
  switch (code) {
    case Code::invalid_argument: return "invalid_argument";
    case Code::not_found: return "not_found";
    case Code::conflict: return "conflict";
    case Code::refused: return "refused";
    case Code::unreachable: return "unreachable";
    case Code::auth_failed: return "auth_failed";
    case Code::host_key_unknown: return "host_key_unknown";
    case Code::host_key_changed: return "host_key_changed";
    case Code::timeout: return "timeout";
    case Code::cancelled: return "cancelled";
    case Code::io: return "io";
    case Code::corrupt: return "corrupt";
    case Code::remote_failed: return "remote_failed";
    case Code::missing_tool: return "missing_tool";
    case Code::limit: return "limit";
  }
  return "unknown";
}

struct Error {
  Code code = Code::io;
  std::string message = {};  // what was wrong and what was expected; clean text, no secrets
  std::string next = {};     // what to do now; may be empty only where nothing can be done
};

// Aborts with the place when our own reasoning is wrong. Never for input from outside.
inline void require(bool holds, const char* what, const char* file = __builtin_FILE(),
                    int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "rgt: bug: %s (%s:%d)\n", what, file, line);
  std::abort();
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(implicit)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(implicit)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  const T& value() const& { return require(ok(), "value() of an error"), std::get<0>(state_); }
  T& value() & { return require(ok(), "value() of an error"), std::get<0>(state_); }
  // By value: `for (x : f().value())` must not walk a result that is already gone.
  T value() && { return require(ok(), "value() of an error"), std::get<0>(std::move(state_)); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

  const Error& error() const { return require(!ok(), "error() of a value"), std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(implicit)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return require(!ok(), "error() of a success"), *error_; }

 private:
  std::optional<Error> error_ = {};
};

}  // namespace rgt
