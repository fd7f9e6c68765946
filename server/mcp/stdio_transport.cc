// SPDX-License-Identifier: MIT
#include "server/mcp/stdio_transport.h"

#include <array>
#include <cerrno>

#include <poll.h>
#include <unistd.h>

#include "core/base/text.h"

namespace rgt::mcp {

Incoming StdioTransport::read() {
  while (true) {
    const std::size_t end = buffer_.find('\n', searched_);
    if (end == std::string::npos) {
      searched_ = buffer_.size();
      if (buffer_.size() > kLineLimit) {
        dropping_ = true;
        buffer_.clear();
        searched_ = 0;
      }
      if (!fill()) return {Incoming::Kind::closed, {}};  // a last line without its end was cut off
      continue;
    }
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    searched_ = 0;
    if (dropping_ || line.size() > kLineLimit) {
      dropping_ = false;
      return {Incoming::Kind::too_long, {}};
    }
    if (!trim(line).empty()) return {Incoming::Kind::message, std::move(line)};
  }
}

bool StdioTransport::fill() {
  std::array<pollfd, 2> fds{{{input_, POLLIN, 0}, {wake_, POLLIN, 0}}};
  while (true) {
    if (::poll(fds.data(), wake_ < 0 ? 1 : 2, -1) < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    if (wake_ >= 0 && fds[1].revents != 0) return false;
    std::array<char, 65536> bytes;
    const ssize_t got = ::read(input_, bytes.data(), bytes.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return false;
    buffer_.append(bytes.data(), static_cast<std::size_t>(got));
    return true;
  }
}

bool StdioTransport::write(const std::string& message) {
  const std::string line = message + "\n";
  const std::scoped_lock lock(write_mutex_);
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t wrote = ::write(output_, line.data() + done, line.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) {
      pollfd out{output_, POLLOUT, 0};
      ::poll(&out, 1, 1000);
      continue;
    }
    if (wrote < 0) return false;
    done += static_cast<std::size_t>(wrote);
  }
  return true;
}

}  // namespace rgt::mcp
