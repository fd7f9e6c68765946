// SPDX-License-Identifier: MIT
#include "server/mcp/http/event_stream.h"

#include <algorithm>
#include <utility>

namespace rgt::mcp {

bool EventStream::push(std::string message) {
  const std::scoped_lock lock(mutex_);
  if (finished_) return false;
  append(std::move(message));
  changed_.notify_all();
  return true;
}

void EventStream::finish(std::optional<std::string> last, int status) {
  const std::scoped_lock lock(mutex_);
  if (finished_) return;
  if (last) {
    append(std::move(*last));
    events_.back().last = true;
    events_.back().status = status;
  }
  finished_ = true;
  changed_.notify_all();
}

void EventStream::append(std::string message) {
  bytes_ += message.size();
  events_.push_back({++newest_, std::move(message), false, 200});
  while (bytes_ > kKeptBytes && events_.size() > 1) {
    bytes_ -= events_.front().message.size();
    events_.pop_front();
  }
}

void EventStream::hang_up() {
  const std::scoped_lock lock(mutex_);
  ++reader_;
  changed_.notify_all();
}

std::uint64_t EventStream::begin_reading() {
  const std::scoped_lock lock(mutex_);
  changed_.notify_all();
  return ++reader_;
}

EventStream::Got EventStream::next(std::uint64_t reader, std::uint64_t after, Event& event,
                                   Milliseconds patience) {
  std::unique_lock lock(mutex_);
  if (!resumable_) {
    while (!events_.empty() && events_.front().number <= after) {
      bytes_ -= events_.front().message.size();
      events_.pop_front();
    }
  }
  changed_.wait_for(lock, patience,
                    [&] { return reader != reader_ || newest_ > after || finished_; });
  if (reader != reader_) return Got::hung_up;
  const auto found = std::find_if(events_.begin(), events_.end(),
                                  [&](const Event& one) { return one.number > after; });
  if (found != events_.end()) {
    event = *found;
    return Got::event;
  }
  return finished_ ? Got::finished : Got::nothing;
}

bool EventStream::is_finished() const {
  const std::scoped_lock lock(mutex_);
  return finished_;
}

std::size_t EventStream::kept_bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

}  // namespace rgt::mcp
