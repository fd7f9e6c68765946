// SPDX-License-Identifier: MIT
// http_load PORT CLIENTS CALLS TOOL ARGUMENTS: that many MCP clients at once, each with a session
// of its own (2025-11-25), call a tool one time after another. Prints one line of JSON. Ends with 1
// if any call was not answered as it should be.
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

struct Load {
  int port = 0;
  int calls = 0;
  Json params = {};
};

// One client's latencies in microseconds; a failed call is told on stderr and not counted.
std::vector<double> run_client(const Load& load) {
  httplib::Client client("127.0.0.1", load.port);
  client.set_keep_alive(true);
  client.set_tcp_nodelay(true);
  client.set_read_timeout(std::chrono::seconds(60));
  httplib::Headers headers{{"Accept", "application/json, text/event-stream"}};
  const auto post = [&](const Json& message) {
    return client.Post("/mcp", headers, message.dump(), "application/json");
  };
  std::vector<double> latencies;
  const auto hello = post({{"jsonrpc", "2.0"},
                           {"id", "hello"},
                           {"method", "initialize"},
                           {"params",
                            {{"protocolVersion", "2025-11-25"},
                             {"capabilities", Json::object()},
                             {"clientInfo", {{"name", "http_load"}, {"version", "1"}}}}}});
  if (!hello || hello->status != 200) {
    std::cerr << "initialize failed\n";
    return latencies;
  }
  headers.emplace("Mcp-Session-Id", hello->get_header_value("Mcp-Session-Id"));
  headers.emplace("MCP-Protocol-Version", "2025-11-25");
  post({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  for (int i = 0; i < load.calls; ++i) {
    const auto began = Clock::now();
    const auto answer =
        post({{"jsonrpc", "2.0"}, {"id", i}, {"method", "tools/call"}, {"params", load.params}});
    const std::chrono::duration<double, std::micro> spent = Clock::now() - began;
    const bool right = answer && answer->status == 200 &&
                       answer->body.find("\"content\"") != std::string::npos &&
                       answer->body.find("\"id\":" + std::to_string(i)) != std::string::npos;
    if (right)
      latencies.push_back(spent.count());
    else
      std::cerr << "call " << i << ": " << (answer ? answer->body : to_string(answer.error()))
                << "\n";
  }
  client.Delete("/mcp", headers);
  return latencies;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "http_load PORT CLIENTS CALLS TOOL ARGUMENTS\n";
    return 2;
  }
  const Load load{std::atoi(argv[1]),
                  std::atoi(argv[3]),
                  {{"name", argv[4]}, {"arguments", Json::parse(argv[5])}}};
  const std::size_t clients = static_cast<std::size_t>(std::atoi(argv[2]));
  std::vector<std::vector<double>> spent(clients);
  const auto began = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t c = 0; c < clients; ++c)
      threads.emplace_back([&, c] { spent[c] = run_client(load); });
  }
  const std::chrono::duration<double> seconds = Clock::now() - began;
  std::vector<double> all;
  for (const auto& one : spent) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  const std::size_t wanted = clients * static_cast<std::size_t>(load.calls);
  const auto at = [&](double share) {
    return all.empty() ? 0.0
                       : all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))];
  };
  std::cout << Json{{"calls", all.size()},
                    {"errors", wanted - all.size()},
                    {"calls_per_s", std::floor(static_cast<double>(all.size()) / seconds.count())},
                    {"p50_us", std::floor(at(0.5))},
                    {"p99_us", std::floor(at(0.99))}}
            << std::endl;
  return all.size() == wanted ? 0 : 1;
}
