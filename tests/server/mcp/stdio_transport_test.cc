// SPDX-License-Identifier: MIT
#include "server/mcp/stdio_transport.h"

#include <array>
#include <csignal>
#include <thread>

#include <unistd.h>
#include <catch2/catch.hpp>

#include "core/base/result.h"

namespace rgt::mcp {
namespace {

struct Pipe {
  std::array<int, 2> ends{};
  Pipe() { REQUIRE(::pipe(ends.data()) == 0); }
  ~Pipe() {
    close_write();
    ::close(ends[0]);
  }
  void put(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(ends[1], bytes.data(), bytes.size());
      require(wrote > 0, "the test's pipe broke");  // Catch2's own checks are for one thread
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }
  void close_write() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
};

}  // namespace

TEST_CASE("Messages are lines, however the bytes arrive") {
  Pipe in;
  StdioTransport transport(in.ends[0], -1, -1);
  std::jthread writer([&] {
    for (const char c : std::string("{\"a\":1}\n\n  \r\n{\"b\":2}\r\n{\"cut\"")) in.put({&c, 1});
    in.close_write();
  });
  CHECK(transport.read().text == "{\"a\":1}");
  CHECK(transport.read().text == "{\"b\":2}\r");
  CHECK(transport.read().kind == Incoming::Kind::closed);  // the cut line is no message
}

TEST_CASE("A line of ten megabytes is dropped as it comes, and the next one is read") {
  Pipe in;
  StdioTransport transport(in.ends[0], -1, -1);
  std::jthread writer([&] {
    const std::string piece(100000, 'x');
    for (int i = 0; i < 100; ++i) in.put(piece);
    in.put("\n{\"next\":1}\n");
    in.close_write();
  });
  CHECK(transport.read().kind == Incoming::Kind::too_long);
  CHECK(transport.read().text == "{\"next\":1}");
  CHECK(transport.read().kind == Incoming::Kind::closed);
}

TEST_CASE("A wake-up ends a read that waits") {
  Pipe in, wake;
  StdioTransport transport(in.ends[0], -1, wake.ends[0]);
  std::jthread waker([&] { wake.put("x"); });
  CHECK(transport.read().kind == Incoming::Kind::closed);
}

TEST_CASE("Messages written by many threads are never mixed, and a gone reader is told") {
  std::signal(SIGPIPE, SIG_IGN);  // as the program does at its start
  Pipe out;
  StdioTransport transport(-1, out.ends[1], -1);
  std::vector<std::jthread> writers;
  for (char c = 'a'; c < 'i'; ++c) {
    writers.emplace_back([&transport, c] {
      for (int i = 0; i < 20; ++i) transport.write(std::string(5000, c));
    });
  }
  StdioTransport reader(out.ends[0], -1, -1);
  for (int i = 0; i < 8 * 20; ++i) {
    const std::string line = reader.read().text;
    CHECK(line == std::string(5000, line.empty() ? '?' : line[0]));
  }
  writers.clear();
  ::close(out.ends[0]);
  CHECK_FALSE(transport.write("nobody reads this"));
  out.ends[0] = ::dup(out.ends[1]);
}

}  // namespace rgt::mcp
