// SPDX-License-Identifier: MIT
#include "core/box/ssh_agent.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace rgt {
namespace {

constexpr int kSlice = 100;                       // ms: a stop request is seen within this
constexpr Seconds kListTimeout(2);                // see connect()
constexpr std::uint32_t kFrameLimit = 256 << 10;  // bytes: OpenSSH's own limit for an agent message
// The agent protocol's message numbers (draft-ietf-sshm-ssh-agent).
constexpr char kRequestIdentities = 11;
constexpr char kIdentitiesAnswer = 12;

bool wait_for(int fd, short events, const Patience& patience) {
  pollfd entry{fd, events, 0};
  while (!patience.over()) {
    if (::poll(&entry, 1, kSlice) > 0) return true;
  }
  return false;
}

bool read_exactly(int fd, char* to, std::size_t size, const Patience& patience) {
  while (size > 0) {
    if (!wait_for(fd, POLLIN, patience)) return false;
    const ssize_t got = ::recv(fd, to, size, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (got < 0) continue;
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int fd, std::string_view bytes, const Patience& patience) {
  while (!bytes.empty()) {
    if (!wait_for(fd, POLLOUT, patience)) return false;
    const ssize_t wrote = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (wrote < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (wrote > 0) bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

std::string number(std::uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

std::string counted(std::string_view bytes) {
  return number(static_cast<std::uint32_t>(bytes.size())) + std::string(bytes);
}

std::optional<std::uint32_t> take_number(std::string_view& bytes) {
  if (bytes.size() < 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(byte);
  bytes.remove_prefix(4);
  return value;
}

std::optional<std::string_view> take_counted(std::string_view& bytes) {
  const auto size = take_number(bytes);
  if (!size || *size > bytes.size()) return std::nullopt;
  const std::string_view taken = bytes.substr(0, *size);
  bytes.remove_prefix(*size);
  return taken;
}

std::optional<std::string> read_frame(int fd, const Patience& patience) {
  std::array<char, 4> head{};
  if (!read_exactly(fd, head.data(), head.size(), patience)) return std::nullopt;
  std::string_view bytes(head.data(), head.size());
  const std::uint32_t size = *take_number(bytes);
  if (size == 0 || size > kFrameLimit) return std::nullopt;
  std::string body(size, '\0');
  if (!read_exactly(fd, body.data(), size, patience)) return std::nullopt;
  return body;
}

std::optional<std::vector<std::string>> parse_identities(std::string_view body) {
  if (body.empty() || body[0] != kIdentitiesAnswer) return std::nullopt;
  body.remove_prefix(1);
  const auto count = take_number(body);
  if (!count) return std::nullopt;
  std::vector<std::string> keys;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto blob = take_counted(body);
    if (!blob || !take_counted(body)) return std::nullopt;  // the second is a comment
    keys.emplace_back(*blob);
  }
  return keys;
}

// -1 if nobody listens there, or so many wait already that the kernel will not queue us.
int connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -1;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

Result<std::unique_ptr<SshAgent>> SshAgent::connect(const std::string& socket_path,
                                                    const Patience& patience) {
  const Error silent{Code::unreachable, "the ssh agent does not answer",
                     "restart the agent, or unset SSH_AUTH_SOCK"};
  const int fd = connect_unix(socket_path);
  if (fd < 0) return silent;
  std::unique_ptr<SshAgent> made(new SshAgent(fd, patience));
  const Patience short_patience =
      patience.at_most(std::min<Milliseconds>(kListTimeout, patience.left() / 2));
  if (!write_all(fd, counted(std::string(1, kRequestIdentities)), short_patience)) return silent;
  const auto answer = read_frame(fd, short_patience);
  if (!answer) return silent;
  auto keys = parse_identities(*answer);
  if (!keys) return silent;
  made->keys_ = std::move(*keys);
  return made;
}

Result<int> SshAgent::serve(const std::vector<std::string>& keys) {
  require(!thread_.joinable(), "an agent is served once");
  std::string list(1, kIdentitiesAnswer);
  list += number(static_cast<std::uint32_t>(keys.size()));
  for (const std::string& key : keys) list += counted(key) + counted("");
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return Error{Code::io, std::string("cannot make a socket: ") + std::strerror(errno),
                 "close programs or raise the limit on open files"};
  }
  thread_ = std::jthread([this, near = pair[0], list] {
    // Two may end it: the call's own stop, and this object.
    const std::stop_callback forward(patience_.stop, [this] { ending_.request_stop(); });
    relay({patience_.until, ending_.get_token()}, near, list);
    ::close(near);
  });
  return pair[1];
}

void SshAgent::relay(const Patience& patience, int near, const std::string& list) const {
  while (const auto request = read_frame(near, patience)) {
    std::string answer = list;
    if ((*request)[0] != kRequestIdentities) {
      if (!write_all(agent_, counted(*request), patience)) return;
      const auto from_agent = read_frame(agent_, patience);
      if (!from_agent) return;
      answer = *from_agent;
    }
    if (!write_all(near, counted(answer), patience)) return;
  }
}

SshAgent::~SshAgent() {
  ending_.request_stop();
  if (thread_.joinable()) thread_.join();
  ::close(agent_);
}

}  // namespace rgt
