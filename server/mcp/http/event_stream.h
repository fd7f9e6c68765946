// SPDX-License-Identifier: MIT
// EventStream: the messages of one server-sent-event stream, between the threads that have
// something to say and the connection that carries it. One that is resumable keeps what it said,
// within bounds, for a client that comes back with Last-Event-ID (specification 2025-11-25,
// "Resumability and Redelivery").
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/clock.h"

namespace rgt::mcp {

// Every method may be called from any thread.
class EventStream {
 public:
  // `name` stands in the ids of a resumable stream; visible ASCII without '-'.
  EventStream(std::string name, bool resumable) : name_(std::move(name)), resumable_(resumable) {}

  bool push(std::string message);  // false: the stream has ended
  // Nothing more will come after `last`. `status`: the HTTP status, should it be the only message.
  void finish(std::optional<std::string> last, int status = 200);
  // Whoever reads now must end the response, though the stream goes on (SSE polling).
  void hang_up();

  struct Event {
    std::uint64_t number = 0;  // from 1
    std::string message = {};
    bool last = false;
    int status = 200;  // of the last
  };
  enum class Got {
    event,     // here is the next one
    finished,  // there will be no more
    hung_up,   // there will be more, for another reader
    nothing,   // not within the patience
  };
  // One reader at a time: a newer one ends the older.
  std::uint64_t begin_reading();
  // The first event after number `after` (0: from the start). Reading past an event of a stream
  // that is not resumable forgets it.
  Got next(std::uint64_t reader, std::uint64_t after, Event& event, Milliseconds patience);

  bool is_finished() const;
  std::size_t kept_bytes() const;
  bool resumable() const { return resumable_; }
  std::string id_of(std::uint64_t number) const { return name_ + "-" + std::to_string(number); }

  // A client that stays away loses the oldest messages beyond this.
  static constexpr std::size_t kKeptBytes = 8u << 20;

 private:
  void append(std::string message);

  const std::string name_;
  const bool resumable_;
  mutable std::mutex mutex_ = {};
  std::condition_variable changed_ = {};
  std::deque<Event> events_ = {};
  std::size_t bytes_ = 0;
  std::uint64_t newest_ = 0;
  std::uint64_t reader_ = 0;
  bool finished_ = false;
};

}  // namespace rgt::mcp
