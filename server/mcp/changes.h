// SPDX-License-Identifier: MIT
// Changes: the news of a server (a list changed, a resource has a new text, a task moved on), told
// to whoever listens at the moment.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace rgt::mcp {

struct Change {
  enum class Kind { tools, prompts, resources, resource, task } kind = Kind::tools;
  std::string name = {};  // resource: its URI; task: its id
  auto operator<=>(const Change&) const = default;
};

// Every method may be called from any thread.
class Changes {
 public:
  // Called by the thread that tells, one at a time: must be quick and must not call back.
  using Listener = std::function<void(const Change&)>;

  // Ends the listening when it goes; no call of the listener runs after that.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Changes* hub, std::uint64_t id) : hub_(hub), id_(id) {}
    Subscription(Subscription&& other) noexcept { *this = std::move(other); }
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription();

   private:
    Changes* hub_ = nullptr;
    std::uint64_t id_ = 0;
  };

  Subscription listen(Listener listener);
  void tell(const Change& change);

 private:
  std::mutex mutex_ = {};
  std::map<std::uint64_t, Listener> listeners_ = {};
  std::uint64_t next_ = 1;
};

}  // namespace rgt::mcp
