// SPDX-License-Identifier: MIT
#include "server/mcp/stdio_client.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/json.h"

extern char** environ;

namespace rgt::mcp {
namespace {

using Steady = std::chrono::steady_clock;

std::vector<std::string> with_environment(
    const std::vector<std::pair<std::string, std::string>>& extra) {
  std::vector<std::string> all;
  for (const auto& [name, value] : extra) all.push_back(name + "=" + value);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : extra) replaced = replaced || text.starts_with(name + "=");
    if (!replaced) all.push_back(text);
  }
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Result<std::unique_ptr<StdioClient>> StdioClient::start(const Program& program) {
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0) {
    return Error{Code::io, std::string("cannot make a pipe: ") + std::strerror(errno),
                 "close programs"};
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], 0);
  posix_spawn_file_actions_adddup2(&actions, from[1], 1);
  std::vector<std::string> argv = program.argv;
  std::vector<std::string> environment = with_environment(program.environment);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0].c_str(), &actions, nullptr,
                                   pointers_to(argv).data(), pointers_to(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  ::close(to[0]);
  ::close(from[1]);
  std::unique_ptr<StdioClient> client(new StdioClient(to[1], from[0], pid));
  if (error != 0)
    return Error{Code::io, "cannot start " + argv[0] + ": " + std::strerror(error),
                 "check the program"};
  const auto hello =
      client->request("initialize",
                      {{"protocolVersion", "2025-11-25"},
                       {"capabilities", {{"elicitation", {{"form", Json::object()}}}}},
                       {"clientInfo", {{"name", "rgt-eval"}, {"version", RGT_VERSION}}}},
                      Seconds(20));
  if (!hello) return hello.error();
  client->send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  return client;
}

StdioClient::~StdioClient() {
  ::close(input_);
  const auto until = Steady::now() + Seconds(5);
  int status = 0;
  while (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == 0) {
    if (Steady::now() >= until) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
      break;
    }
    ::poll(nullptr, 0, 10);
  }
  ::close(output_);
}

bool StdioClient::send(const Json& message) {
  const std::string line = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t wrote = ::write(input_, line.data() + done, line.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    done += static_cast<std::size_t>(wrote);
  }
  return true;
}

Result<std::string> StdioClient::read_line(Steady::time_point until) {
  while (true) {
    const std::size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<Milliseconds>(until - Steady::now()).count();
    if (left <= 0)
      return Error{Code::timeout, "the server did not answer in time", "look at its stderr"};
    pollfd entry{output_, POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(left)) <= 0) continue;
    std::array<char, 65536> bytes;
    const ssize_t got = ::read(output_, bytes.data(), bytes.size());
    if (got <= 0) return Error{Code::io, "the server closed its output", "look at its stderr"};
    buffer_.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

Result<Json> StdioClient::request(const std::string& method, const Json& params, Seconds patience) {
  const std::int64_t id = next_id_++;
  if (!send({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}})) {
    return Error{Code::io, "the server is gone", "look at its stderr"};
  }
  const auto until = Steady::now() + patience;
  while (true) {
    const auto line = read_line(until);
    if (!line) return line.error();
    const Json message = Json::parse(*line, nullptr, false);
    if (!message.is_object())
      return Error{Code::corrupt,
                   "the server wrote a line that is no JSON object: " + line->substr(0, 200),
                   "stdout is for the protocol only"};
    if (message.value("method", "") == "elicitation/create") {
      forms_.push_back(message["params"]);
      send({{"jsonrpc", "2.0"}, {"id", message["id"]}, {"result", form_answer_}});
      continue;
    }
    if (!message.contains("id") || message["id"] != id) continue;  // notifications, late answers
    if (message.contains("result")) return message["result"];
    return Error{Code::remote_failed, message["error"].dump(), "see the error's code"};
  }
}

}  // namespace rgt::mcp
