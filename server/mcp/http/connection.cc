// SPDX-License-Identifier: MIT
#include "server/mcp/http/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace rgt::mcp {
namespace {

using Steady = std::chrono::steady_clock;

// How long a client may take to read the end of the last response and close; without it, bytes of
// its request that we never read would make the kernel reset the connection and lose the response.
constexpr Milliseconds kLingering(500);

int milliseconds_until(Steady::time_point until) {
  const auto left = std::chrono::ceil<Milliseconds>(until - Steady::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30));
}

void address_of(int socket, bool remote, std::string& ip, int& port) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const int error =
      remote ? ::getpeername(socket, generic, &size) : ::getsockname(socket, generic, &size);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (error != 0) return;
  if (address.ss_family == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(&address);
    ::inet_ntop(AF_INET, &four->sin_addr, text.data(), text.size());
    port = ntohs(four->sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto* six = reinterpret_cast<const sockaddr_in6*>(&address);
    ::inet_ntop(AF_INET6, &six->sin6_addr, text.data(), text.size());
    port = ntohs(six->sin6_port);
  }
  ip = text.data();
}

}  // namespace

Connection::~Connection() {
  ::shutdown(socket_, SHUT_WR);
  const auto until = Steady::now() + kLingering;
  while (must_close_ && wait_readable(until)) {
    if (::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT) <= 0) break;
  }
  ::close(socket_);
}

bool Connection::wait_readable(Steady::time_point until) const {
  pollfd entry{socket_, POLLIN, 0};
  while (true) {
    const int ready = ::poll(&entry, 1, milliseconds_until(until));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0;
  }
}

bool Connection::wait_for_request() {
  {
    const std::scoped_lock lock(mutex_);
    waiting_since_ = Steady::now();
  }
  request_bytes_ = end_ - begin_;
  if (begin_ == end_ && !wait_readable(Steady::now() + limits_.idle)) return false;
  deadline_ = Steady::now() + limits_.request;
  return begin_ < end_ || !is_gone();
}

void Connection::begin_work() {
  const std::scoped_lock lock(mutex_);
  waiting_since_.reset();
}

bool Connection::is_gone() const {
  pollfd entry{socket_, POLLRDHUP, 0};
  if (::poll(&entry, 1, 0) <= 0) return false;
  if ((entry.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return true;
  if ((entry.revents & POLLRDHUP) == 0) return false;
  char byte = 0;  // closed, but what it sent before may still be unread
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void Connection::shut_down() { ::shutdown(socket_, SHUT_RDWR); }

std::optional<Steady::time_point> Connection::waiting_since() const {
  const std::scoped_lock lock(mutex_);
  return waiting_since_;
}

bool Connection::is_readable() const { return begin_ < end_ || wait_readable(deadline_); }

bool Connection::is_writable() const { return !is_gone(); }

ssize_t Connection::read(char* bytes, std::size_t size) {
  if (begin_ == end_) {
    if (request_bytes_ > limits_.request_bytes) return -1;
    ssize_t got = -1;
    do {
      if (!wait_readable(deadline_)) return -1;
      got = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got <= 0) return got;
    begin_ = 0;
    end_ = static_cast<std::size_t>(got);
    request_bytes_ += end_;
  }
  const std::size_t count = std::min(size, end_ - begin_);
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), count, bytes);
  begin_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* bytes, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t sent = ::send(socket_, bytes + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return -1;
    pollfd entry{socket_, POLLOUT, 0};
    if (::poll(&entry, 1, static_cast<int>(limits_.stalled_write.count())) <= 0) return -1;
  }
  return static_cast<ssize_t>(done);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  address_of(socket_, true, ip, port);
}
void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  address_of(socket_, false, ip, port);
}

Connections::Entry::Entry(Connections& all, Connection& connection) : all_(all) {
  const std::scoped_lock lock(all_.mutex_);
  number_ = std::to_string(all_.next_++);
  all_.open_[number_] = &connection;
  if (all_.closed_) connection.shut_down();
}

Connections::Entry::~Entry() {
  const std::scoped_lock lock(all_.mutex_);
  all_.open_.erase(number_);
  all_.changed_.notify_all();
}

Connection* Connections::find(const std::string& number) {
  const std::scoped_lock lock(mutex_);
  const auto found = open_.find(number);
  return found == open_.end() ? nullptr : found->second;
}

void Connections::evict_slowest() {
  const std::scoped_lock lock(mutex_);
  Connection* slowest = nullptr;
  std::optional<Steady::time_point> since;
  for (const auto& [number, connection] : open_) {
    const auto waiting = connection->waiting_since();
    if (!waiting || (since && *waiting >= *since)) continue;
    slowest = connection;
    since = waiting;
  }
  if (slowest != nullptr) slowest->shut_down();
}

void Connections::shut_down_waiting() {
  const std::scoped_lock lock(mutex_);
  for (const auto& [number, connection] : open_) {
    if (connection->waiting_since()) connection->shut_down();
  }
}

void Connections::shut_down_all() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  for (const auto& [number, connection] : open_) connection->shut_down();
}

bool Connections::wait_empty(Milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return open_.empty(); });
}

}  // namespace rgt::mcp
