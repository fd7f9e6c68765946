// SPDX-License-Identifier: MIT
// Connection: one accepted TCP socket, read and written within deadlines, and the set of all of
// them. A client may be slow, silent or half gone; it costs one thread for a bounded time, and when
// all threads are taken the one that has kept us waiting longest is sent away first.
#pragma once

#include <httplib.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/clock.h"

namespace rgt::mcp {

struct ConnectionLimits {
  Milliseconds idle = Seconds(60);           // between two requests
  Milliseconds request = Seconds(30);        // for one request to arrive whole
  Milliseconds stalled_write = Seconds(30);  // a client that does not read what it asked for
  std::size_t request_bytes = (4u << 20) + (64u << 10);  // body and head together
};

// Used by its own thread; is_gone() and shut_down() by any.
class Connection final : public httplib::Stream {
 public:
  Connection(int socket, const ConnectionLimits& limits) : socket_(socket), limits_(limits) {}
  ~Connection() override;  // closes, after letting the client read what was sent

  // Until a request begins to arrive. False: the client has closed, or was idle too long.
  bool wait_for_request();
  void begin_work();  // the request has arrived
  // After this response the connection ends (unread bytes are no next request).
  void close_after() { must_close_ = true; }
  bool must_close() const { return must_close_; }

  // The client has closed its side. A client that only stopped sending looks the same, and HTTP
  // servers have always taken it for gone.
  bool is_gone() const;
  void shut_down();  // makes every read and write end at once

  // When we began to wait for the client; nothing while we work for it.
  std::optional<std::chrono::steady_clock::time_point> waiting_since() const;

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* bytes, std::size_t size) override;
  ssize_t write(const char* bytes, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  bool wait_readable(std::chrono::steady_clock::time_point until) const;

  const int socket_;
  const ConnectionLimits limits_;
  std::array<char, 16384> buffer_ = {};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t request_bytes_ = 0;
  std::chrono::steady_clock::time_point deadline_ = {};
  bool must_close_ = false;
  mutable std::mutex mutex_ = {};
  std::optional<std::chrono::steady_clock::time_point> waiting_since_ = {};
};

// All connections of a server. Every method may be called from any thread.
class Connections {
 public:
  // A connection is found by its number while its Entry lives.
  class Entry {
   public:
    Entry(Connections& all, Connection& connection);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    const std::string& number() const { return number_; }

   private:
    Connections& all_;
    std::string number_;
  };

  // Null when it is unknown. For the connection's own thread: another's may be gone any moment.
  Connection* find(const std::string& number);
  // Sends away the one that has kept us waiting longest, if any has.
  void evict_slowest();
  void shut_down_waiting();  // those that we work for go on
  void shut_down_all();      // and whoever comes after
  bool wait_empty(Milliseconds patience);

 private:
  std::mutex mutex_ = {};
  std::condition_variable changed_ = {};
  std::map<std::string, Connection*> open_ = {};
  std::uint64_t next_ = 1;
  bool closed_ = false;
};

}  // namespace rgt::mcp
