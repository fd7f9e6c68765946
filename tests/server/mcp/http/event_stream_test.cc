// SPDX-License-Identifier: MIT
#include "server/mcp/http/event_stream.h"

#include <thread>

#include <catch2/catch.hpp>

namespace rgt::mcp {
namespace {
using Got = EventStream::Got;
constexpr Milliseconds kNow(0);
}  // namespace

TEST_CASE("What was said is read in order, then the end") {
  EventStream stream("7", true);
  stream.push("a");
  stream.push("b");
  stream.finish("c", 400);
  CHECK_FALSE(stream.push("too late"));
  const auto reader = stream.begin_reading();
  EventStream::Event event;
  std::string all;
  std::uint64_t position = 0;
  while (stream.next(reader, position, event, kNow) == Got::event) {
    all += event.message;
    position = event.number;
  }
  CHECK(all == "abc");
  CHECK(event.last);
  CHECK(event.status == 400);
  CHECK(stream.next(reader, position, event, kNow) == Got::finished);
  CHECK(stream.id_of(position) == "7-3");
}

TEST_CASE("A resumable stream is read again from any event; another forgets what was read") {
  for (const bool resumable : {true, false}) {
    EventStream stream("1", resumable);
    stream.push("a");
    stream.push("b");
    EventStream::Event event;
    auto reader = stream.begin_reading();
    CHECK(stream.next(reader, 1, event, kNow) == Got::event);
    CHECK(event.message == "b");
    reader = stream.begin_reading();
    CHECK(stream.next(reader, 0, event, kNow) == Got::event);
    CHECK(event.message == (resumable ? "a" : "b"));
  }
}

TEST_CASE("A newer reader ends the older, and so does hanging up") {
  EventStream stream("1", true);
  EventStream::Event event;
  const auto old_reader = stream.begin_reading();
  std::jthread later([&] {
    EventStream::Event unused;
    while (stream.next(old_reader, 0, unused, Seconds(10)) != Got::hung_up) {
    }
  });
  const auto reader = stream.begin_reading();
  later.join();
  CHECK(stream.next(reader, 0, event, kNow) == Got::nothing);
  stream.hang_up();
  stream.push("a");
  CHECK(stream.next(reader, 0, event, kNow) == Got::hung_up);
  CHECK(stream.next(stream.begin_reading(), 0, event, kNow) == Got::event);
}

TEST_CASE("What nobody fetches is bounded") {
  EventStream stream("1", true);
  const std::string big(1u << 20, 'x');
  for (int i = 0; i < 20; ++i) stream.push(big);
  CHECK(stream.kept_bytes() <= EventStream::kKeptBytes);
  EventStream::Event event;
  CHECK(stream.next(stream.begin_reading(), 0, event, kNow) == Got::event);
  CHECK(event.number > 1);
}

}  // namespace rgt::mcp
