// SPDX-License-Identifier: MIT
#include "server/mcp/http/http_sessions.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace rgt::mcp {

using Steady = std::chrono::steady_clock;

HttpSession::HttpSession(std::string id, Service& service)
    : id_(std::move(id)),
      news_(std::make_shared<EventStream>("0", true)),
      last_used_(Steady::now()),
      session_(service, [news = news_](const std::string& message) { news->push(message); }) {}

std::shared_ptr<EventStream> HttpSession::open_stream() {
  const std::scoped_lock lock(mutex_);
  forget_old();
  const std::uint64_t number = next_++;
  auto stream = std::make_shared<EventStream>(std::to_string(number), true);
  streams_[number] = stream;
  return stream;
}

void HttpSession::forget_old() {
  std::size_t bytes = 0;
  for (const auto& [number, stream] : streams_) bytes += stream->kept_bytes();
  for (auto entry = streams_.begin();
       entry != streams_.end() && (streams_.size() >= kKeptStreams || bytes > kKeptBytes);) {
    if (!entry->second->is_finished()) {
      ++entry;
      continue;
    }
    bytes -= entry->second->kept_bytes();
    entry = streams_.erase(entry);
  }
}

std::shared_ptr<EventStream> HttpSession::find_stream(const std::string& event_id,
                                                      std::uint64_t& position) {
  const auto parts = split(event_id, '-');
  const auto number = parts.size() == 2 ? parse_uint(parts[0]) : std::nullopt;
  const auto event = parts.size() == 2 ? parse_uint(parts[1]) : std::nullopt;
  if (!number || !event) return nullptr;
  position = *event;
  if (*number == 0) return news_;
  const std::scoped_lock lock(mutex_);
  const auto found = streams_.find(*number);
  return found == streams_.end() ? nullptr : found->second;
}

bool HttpSession::is_busy() {
  const std::scoped_lock lock(mutex_);
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const auto& entry) { return !entry.second->is_finished(); });
}

void HttpSession::close() {
  session_.close();
  news_->finish({});
  const std::scoped_lock lock(mutex_);
  for (const auto& [number, stream] : streams_) stream->finish({});
}

std::shared_ptr<HttpSession> HttpSessions::create() {
  expire(Steady::now());
  auto session = std::make_shared<HttpSession>(random_hex(16), service_);
  std::shared_ptr<HttpSession> oldest;
  {
    const std::scoped_lock lock(mutex_);
    if (sessions_.size() >= most_) {
      for (const auto& [id, one] : sessions_) {
        if (one->is_busy()) continue;
        if (!oldest || one->last_used() < oldest->last_used()) oldest = one;
      }
      if (!oldest) return nullptr;
      sessions_.erase(oldest->id());
    }
    sessions_[session->id()] = session;
  }
  if (oldest) finish(oldest);
  return session;
}

std::shared_ptr<HttpSession> HttpSessions::find(const std::string& id) {
  expire(Steady::now());
  const std::scoped_lock lock(mutex_);
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return nullptr;
  found->second->touch();
  return found->second;
}

bool HttpSessions::end(const std::string& id) {
  std::shared_ptr<HttpSession> session;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return false;
    session = found->second;
    sessions_.erase(found);
  }
  finish(session);
  return true;
}

void HttpSessions::finish(const std::shared_ptr<HttpSession>& session) {
  service_.calls().cancel_all(session->id() + "/");
  session->close();
}

void HttpSessions::expire(Steady::time_point now) {
  std::vector<std::shared_ptr<HttpSession>> silent;
  {
    const std::scoped_lock lock(mutex_);
    for (auto entry = sessions_.begin(); entry != sessions_.end();) {
      if (now - entry->second->last_used() < idle_ || entry->second->is_busy()) {
        ++entry;
        continue;
      }
      silent.push_back(entry->second);
      entry = sessions_.erase(entry);
    }
  }
  for (const auto& session : silent) finish(session);
}

void HttpSessions::close_all() {
  std::map<std::string, std::shared_ptr<HttpSession>> all;
  {
    const std::scoped_lock lock(mutex_);
    all.swap(sessions_);
  }
  for (const auto& [id, session] : all) finish(session);
}

std::size_t HttpSessions::count() {
  const std::scoped_lock lock(mutex_);
  return sessions_.size();
}

}  // namespace rgt::mcp
