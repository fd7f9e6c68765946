// SPDX-License-Identifier: MIT
// conformance_server [--port N] [--stdio]: the fixture server of the official suite, at /mcp.
// Prints the address it serves on.
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <iostream>
#include <semaphore>
#include <thread>

#include "core/base/text.h"
#include "server/mcp/http/http_server.h"
#include "server/mcp/stdio_server.h"
#include "server/mcp/stdio_transport.h"
#include "tests/conformance/fixture.h"

namespace rgt::mcp {
namespace {

struct Fixture {
  SystemClock clock = {};
  Changes changes = {};
  fixture::FixtureLibrary library = {};
  ToolSet* list = nullptr;  // the tools that change the list need the list
  ToolSet tools;
  Service service;

  Fixture() : tools(all_tools()), service(offer(), clock, options()) { list = &tools; }

  std::vector<ServedTool> all_tools() {
    std::vector<ServedTool> all;
    for (auto&& group :
         {fixture::content_tools(), fixture::asking_tools(), fixture::input_required_tools(),
          fixture::task_tools(), fixture::changing_tools(list, changes)})
      all.insert(all.end(), group.begin(), group.end());
    return all;
  }
  Offer offer() {
    ServerInfo info;
    info.name = "rgt-conformance-fixture";
    info.title = "Conformance fixture";
    info.version = "1.0.0";
    info.instructions = "A fixture for the official conformance suite.";
    return {info, tools, library, changes, true};
  }
  static ServiceOptions options() {
    ServiceOptions options;
    options.log_level = LogLevel::info;
    options.calls_at_once = 256;
    return options;
  }
};

// Blocked in this thread and all that it starts; waited for by one.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int serve_http(Fixture& fixture, int port, const sigset_t& signals) {
  HttpOptions options;
  options.guard.port = port;
  auto server = HttpServer::bind(fixture.service, options);
  if (!server) {
    std::cerr << server.error().message << "\n";
    return 1;
  }
  std::cout << "http://127.0.0.1:" << (*server)->port() << "/mcp" << std::endl;
  std::stop_source stop;
  std::thread waiting([&] {
    int number = 0;
    sigwait(&signals, &number);
    stop.request_stop();
  });
  (*server)->serve(stop.get_token());
  waiting.join();
  return 0;
}

}  // namespace
}  // namespace rgt::mcp

int main(int argc, char** argv) {
  int port = 0;
  bool stdio = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--stdio") == 0) stdio = true;
    if (std::strcmp(argv[i], "--port") == 0 && i + 1 < argc)
      port = static_cast<int>(rgt::parse_uint(argv[++i]).value_or(0));
  }
  if (!stdio) {
    const sigset_t signals = rgt::mcp::block_signals();  // before any thread begins
    rgt::mcp::Fixture fixture;
    return rgt::mcp::serve_http(fixture, port, signals);
  }
  rgt::mcp::Fixture fixture;
  rgt::mcp::StdioTransport transport(STDIN_FILENO, STDOUT_FILENO, -1);
  rgt::mcp::StdioServer(fixture.service, transport).serve();
  return 0;
}
