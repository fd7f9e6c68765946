// SPDX-License-Identifier: MIT
// DelayProxy: the long way to a box. A TCP proxy on loopback that hands every byte on after a
// delay, can go silent, be cut or be slow, and counts the turns of what passes: how many times one
// side had to wait for the other. Turns are counted by cause, not by a clock, so a test of them
// holds on a busy machine. Runs in a thread of its own; every method may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "core/base/clock.h"

namespace rgt {

class DelayProxy {
 public:
  enum class Way {
    open,    // bytes pass
    silent,  // half-open: both ends stay connected, nothing passes any more
    cut,     // connections are reset, new ones are closed at once
  };

  // To 127.0.0.1:`port`, each byte `each_way` later.
  explicit DelayProxy(int port, Milliseconds each_way = Milliseconds(0));
  ~DelayProxy();
  DelayProxy(const DelayProxy&) = delete;
  DelayProxy& operator=(const DelayProxy&) = delete;

  int port() const { return port_; }
  void set_way(Way way) { way_ = way; }
  void cut_once() { cut_once_ = true; }  // resets what is connected; new connections pass
  void set_bytes_per_second(std::uint64_t limit) { bytes_per_second_ = limit; }  // 0: no limit

  // Since the last reset, over all connections. An answer is depth N + 1 if what it answers was
  // itself sent after hearing an answer of depth N; `turns` is the deepest that came back.
  int turns() const { return turns_; }
  int open_links() const { return open_links_; }  // now
  int connections() const { return connections_; }
  int given_up() const { return given_up_; }                // connections that the near side closed
  std::uint64_t bytes_up() const { return bytes_up_; }      // towards the box
  std::uint64_t bytes_down() const { return bytes_down_; }  // from the box
  // From the box and handed on; bytes_down() also counts what waits in here.
  std::uint64_t bytes_arrived() const { return bytes_arrived_; }
  void reset_counts();  // what is under way now no longer counts

 private:
  struct Link;
  class Loop;
  void serve(std::stop_token stop);

  const int target_;
  const Milliseconds each_way_;
  int listener_ = -1;
  int port_ = -1;
  std::atomic<Way> way_ = Way::open;
  std::atomic<bool> cut_once_ = false;
  std::atomic<std::uint64_t> bytes_per_second_ = 0;
  std::atomic<int> epoch_ = 0;
  std::atomic<int> epoch_seen_ = 0;
  std::atomic<int> turns_ = 0;
  std::atomic<int> open_links_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<int> given_up_ = 0;
  std::atomic<std::uint64_t> bytes_up_ = 0;
  std::atomic<std::uint64_t> bytes_down_ = 0;
  std::atomic<std::uint64_t> bytes_arrived_ = 0;
  std::jthread thread_ = {};
};

}  // namespace rgt
