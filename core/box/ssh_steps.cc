// SPDX-License-Identifier: MIT
#include "core/box/ssh_steps.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr Milliseconds kPollSlice(100);  // the longest we sleep before looking at stop and deadline

}  // namespace

void wait_for_socket(ssh_session session) {
  const socket_t fd = ssh_get_fd(session);
  if (fd == SSH_INVALID_SOCKET) {
    ::poll(nullptr, 0, 10);
    return;
  }
  // sshd holds small packets back until we acknowledge; the kernel forgets this wish, so it is said
  // again.
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  short events = POLLIN;
  if ((ssh_get_poll_flags(session) & SSH_WRITE_PENDING) != 0) events |= POLLOUT;
  pollfd entry{fd, events, 0};
  ::poll(&entry, 1, static_cast<int>(kPollSlice.count()));
}

std::string words_of(ssh_session session) { return clean_line(ssh_get_error(session), 200); }

std::string seconds_of(Milliseconds duration) {
  return to_words(std::chrono::ceil<Seconds>(duration));
}

Error stopped_or(const Patience& patience, Error error) {
  if (patience.stop.stop_requested())
    return {Code::cancelled, "stopped while talking to the box", "call again"};
  return error;
}

}  // namespace rgt
