// SPDX-License-Identifier: MIT
#include "tests/boxes/delay_proxy.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <list>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/result.h"

namespace rgt {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kChunk = 65536;  // bytes read at once
constexpr std::size_t kQueueLimit = 64u
                                    << 20;  // bytes under way in one direction: then reading waits
constexpr Milliseconds kSlice(20);          // a changed way or a stop is seen within this

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

struct Parcel {
  Steady::time_point due = {};
  std::string bytes = {};  // empty: the sender closed its side
  int depth = 0;
};

// One direction of one connection.
struct Lane {
  int from = -1;
  int to = -1;
  std::deque<Parcel> parcels = {};
  std::size_t queued = 0;
  std::size_t sent_of_first = 0;
  Steady::time_point free_at = {};  // when a throttled line has sent what it was given
  bool ended = false;               // nothing more will be read
  int heard = 0;                    // depth of the deepest parcel handed on to `to`
};

}  // namespace

struct DelayProxy::Link {
  Lane up = {};
  Lane down = {};
};

// What the thread does: one poll over the listener and all links, again and again.
class DelayProxy::Loop {
 public:
  explicit Loop(DelayProxy& proxy) : proxy_(proxy) {}
  ~Loop() { close_all(false); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      start_epoch();
      if (proxy_.cut_once_.exchange(false) || proxy_.way_ == Way::cut) close_all(true);
      wait();
      accept_all();
      for (Link& link : links_) {
        take(link.up, link.down, true);
        take(link.down, link.up, false);
        hand_on(link.up, true);
        hand_on(link.down, false);
      }
      links_.remove_if([](Link& link) { return over(link); });
      proxy_.open_links_ = static_cast<int>(links_.size());
    }
  }

 private:
  void start_epoch() {
    const int epoch = proxy_.epoch_;
    if (epoch == proxy_.epoch_seen_) return;
    proxy_.turns_ = proxy_.connections_ = proxy_.given_up_ = 0;
    proxy_.bytes_up_ = proxy_.bytes_down_ = proxy_.bytes_arrived_ = 0;
    for (Link& link : links_) {
      for (Lane* lane : {&link.up, &link.down}) {
        lane->heard = 0;
        for (Parcel& parcel : lane->parcels) parcel.depth = 0;
      }
    }
    proxy_.epoch_seen_ = epoch;
  }

  void wait() {
    std::vector<pollfd> entries{{proxy_.listener_, POLLIN, 0}};
    auto until = Steady::now() + kSlice;
    for (const Link& link : links_) {
      for (const Lane* lane : {&link.up, &link.down}) {
        if (!lane->ended && lane->queued < kQueueLimit) entries.push_back({lane->from, POLLIN, 0});
        if (lane->parcels.empty() || !passing()) continue;
        if (lane->parcels.front().due > Steady::now())
          until = std::min(until, lane->parcels.front().due);
        else
          entries.push_back({lane->to, POLLOUT, 0});
      }
    }
    const auto left = std::chrono::ceil<Milliseconds>(until - Steady::now());
    ::poll(entries.data(), entries.size(), static_cast<int>(std::max<long>(left.count(), 0)));
  }

  bool passing() const { return proxy_.way_ == Way::open; }

  void accept_all() {
    int near = -1;
    while ((near = ::accept4(proxy_.listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >=
           0) {
      const int far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(proxy_.target_);
      const bool reached =
          proxy_.way_ != Way::cut &&
          ::connect(far, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
      if (!reached) {
        ::close(near);
        ::close(far);
        continue;
      }
      send_at_once(near);
      send_at_once(far);
      Link link;
      link.up.from = link.down.to = near;
      link.up.to = link.down.from = far;
      links_.push_back(std::move(link));
      ++proxy_.connections_;
    }
  }

  // Takes in what `lane` has to carry. It was caused by what came the other way before.
  void take(Lane& lane, const Lane& other, bool is_up) {
    std::array<char, kChunk> buffer;
    while (!lane.ended && lane.queued < kQueueLimit) {
      const ssize_t got = ::recv(lane.from, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      Parcel parcel;
      parcel.bytes.assign(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      parcel.depth = is_up ? other.heard + 1 : other.heard;
      parcel.due = due(lane, parcel.bytes.size());
      lane.ended = got <= 0;
      if (lane.ended && is_up) ++proxy_.given_up_;
      lane.queued += parcel.bytes.size();
      (is_up ? proxy_.bytes_up_ : proxy_.bytes_down_) += parcel.bytes.size();
      lane.parcels.push_back(std::move(parcel));
    }
  }

  Steady::time_point due(Lane& lane, std::size_t size) const {
    const std::uint64_t limit = proxy_.bytes_per_second_;
    const auto now = Steady::now();
    lane.free_at = std::max(lane.free_at, now);
    if (limit != 0) lane.free_at += std::chrono::microseconds(size * 1'000'000 / limit);
    return lane.free_at + proxy_.each_way_;
  }

  void hand_on(Lane& lane, bool is_up) {
    while (passing() && !lane.parcels.empty() && lane.parcels.front().due <= Steady::now()) {
      const Parcel& parcel = lane.parcels.front();
      // Heard as soon as the first byte may arrive: the answer can come before we look again.
      lane.heard = std::max(lane.heard, parcel.depth);
      if (!is_up) proxy_.turns_ = std::max<int>(proxy_.turns_, parcel.depth);
      if (parcel.bytes.empty()) {
        ::shutdown(lane.to, SHUT_WR);
      } else {
        const ssize_t wrote =
            ::send(lane.to, parcel.bytes.data() + lane.sent_of_first,
                   parcel.bytes.size() - lane.sent_of_first, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) return;
        lane.sent_of_first += static_cast<std::size_t>(std::max<ssize_t>(wrote, 0));
        if (!is_up && wrote > 0) proxy_.bytes_arrived_ += static_cast<std::uint64_t>(wrote);
        if (wrote < 0) lane.sent_of_first = parcel.bytes.size();  // nobody is there to take it
        if (lane.sent_of_first < parcel.bytes.size()) return;
      }
      lane.queued -= parcel.bytes.size();
      lane.sent_of_first = 0;
      lane.parcels.pop_front();
    }
  }

  static bool over(Link& link) {
    if (!link.up.ended || !link.down.ended) return false;
    if (!link.up.parcels.empty() || !link.down.parcels.empty()) return false;
    ::close(link.up.from);
    ::close(link.up.to);
    return true;
  }

  void close_all(bool reset) {
    for (const Link& link : links_) {
      for (const int fd : {link.up.from, link.up.to}) {
        const linger now{1, 0};
        if (reset) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        ::close(fd);
      }
    }
    links_.clear();
  }

  DelayProxy& proxy_;
  std::list<Link> links_ = {};
};

DelayProxy::DelayProxy(int port, Milliseconds each_way) : target_(port), each_way_(each_way) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool listening =
      ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      ::listen(listener_, 1024) == 0 &&
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  require(listening, "no port for the proxy");
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

DelayProxy::~DelayProxy() {
  thread_.request_stop();
  thread_.join();
  ::close(listener_);
}

void DelayProxy::reset_counts() {
  const int epoch = ++epoch_;
  while (epoch_seen_ < epoch) std::this_thread::yield();
}

void DelayProxy::serve(std::stop_token stop) { Loop(*this).run(stop); }

}  // namespace rgt
