// SPDX-License-Identifier: MIT
#include "core/box/wire.h"

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rgt {
namespace {

constexpr Milliseconds kSlice(100);  // a stop request is seen within this

struct AddressList {
  addrinfo* first = nullptr;
  AddressList() = default;
  ~AddressList() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
  AddressList(const AddressList&) = delete;
  AddressList& operator=(const AddressList&) = delete;
};

// What the resolving thread and the waiting one share; the last of them frees it.
struct Lookup {
  std::string host = {};
  std::string port = {};
  addrinfo hints = {};
  AddressList found = {};
  int code = EAI_AGAIN;
  bool done = false;
  std::mutex mutex = {};
  std::condition_variable changed = {};

  void run() {
    addrinfo* first = nullptr;
    const int got = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &first);
    const std::scoped_lock lock(mutex);
    found.first = first;
    code = got;
    done = true;
    changed.notify_all();
  }
  bool wait(const Patience& patience) {
    std::unique_lock lock(mutex);
    while (!done && !patience.over()) changed.wait_for(lock, kSlice);
    return done;
  }
};

Error unreachable(const std::string& why) { return {Code::unreachable, why, "call again"}; }

Error cut(const Patience& patience, const std::string& why) {
  if (patience.stop.stop_requested())
    return {Code::cancelled, "stopped while connecting to the box", "call again"};
  return unreachable(why);
}

int family_of(const SshTarget& target) {
  if (target.address_family == "inet") return AF_INET;
  return target.address_family == "inet6" ? AF_INET6 : AF_UNSPEC;
}

// getaddrinfo cannot be told to stop, so a name is looked up on a thread of its own, which is left
// to itself when patience is over. An address needs no thread.
Result<std::shared_ptr<Lookup>> look_up(const SshTarget& target, const Patience& patience) {
  auto lookup = std::make_shared<Lookup>();
  lookup->host = target.host;
  lookup->port = target.port;
  lookup->hints.ai_family = family_of(target);
  lookup->hints.ai_socktype = SOCK_STREAM;
  lookup->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  lookup->run();
  if (lookup->code == 0) return lookup;
  lookup->done = false;
  lookup->hints.ai_flags = AI_NUMERICSERV;
  std::thread([lookup] { lookup->run(); }).detach();
  if (!lookup->wait(patience)) return cut(patience, "no answer from the resolver in time");
  if (lookup->code == 0) return lookup;
  return unreachable("cannot resolve " + target.host + " (" + ::gai_strerror(lookup->code) + ")");
}

bool bind_to(int fd, const SshTarget& target, int family) {
  if (target.bind_address.empty()) return true;
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  AddressList own;
  return ::getaddrinfo(target.bind_address.c_str(), nullptr, &hints, &own.first) == 0 &&
         ::bind(fd, own.first->ai_addr, own.first->ai_addrlen) == 0;
}

// 0, or an errno; ETIMEDOUT also when patience ran out.
int connect_to(const addrinfo& address, const SshTarget& target, const Patience& patience,
               int& fd) {
  fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || !bind_to(fd, target, address.ai_family)) return errno;
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd entry{fd, POLLOUT, 0};
  while (::poll(&entry, 1, static_cast<int>(kSlice.count())) <= 0) {
    if (patience.over()) return ETIMEDOUT;
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

Result<Wire> open_tcp(const SshTarget& target, const Patience& patience) {
  auto lookup = look_up(target, patience);
  if (!lookup) return lookup.error();
  int left = 0;
  for (const addrinfo* at = (*lookup)->found.first; at != nullptr; at = at->ai_next) ++left;
  int error = ENOENT;
  for (const addrinfo* at = (*lookup)->found.first; at != nullptr; at = at->ai_next) {
    // One dead address must not use up the time of the next one.
    int fd = -1;
    error = connect_to(*at, target, patience.at_most(patience.left() / left--), fd);
    if (error == 0) {
      const int on = 1;
      ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      // A call is several small packets; held back by Nagle they cost two delayed ACKs, 80 ms.
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return Wire{fd, nullptr};
    }
    if (fd >= 0) ::close(fd);
    if (patience.over()) return cut(patience, "no answer in time");
  }
  return unreachable(std::strerror(error));
}

}  // namespace

Result<Wire> open_wire(const SshTarget& target, const SshSettings& settings,
                       const Patience& patience) {
  const std::vector<std::string> argv = proxy_arguments(target, settings);
  if (argv.empty()) return open_tcp(target, patience);
  auto proxy = SocketProcess::start(argv);
  if (!proxy) return proxy.error();
  const int fd = (*proxy)->release_socket();
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return Wire{fd, std::move(*proxy)};
}

}  // namespace rgt
