// SPDX-License-Identifier: MIT
#include "tests/core/box/script_shell.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace rgt::test {
namespace fs = std::filesystem;
namespace {

constexpr auto kPatience = std::chrono::seconds(60);  // generous: two cores under sanitizers

std::string find_tool(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"}) {
    if (fs::exists(folder + name)) return folder + name;
  }
  return {};
}

std::string read_fd(int fd) {
  std::string bytes;
  std::array<char, 65536> buffer = {};
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got <= 0) break;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(fd);
  return bytes;
}

void write_fd(int fd, const std::string& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t put = write(fd, bytes.data() + at, bytes.size() - at);
    if (put <= 0) break;
    at += static_cast<std::size_t>(put);
  }
  close(fd);
}

void kill_recorded(const fs::path& run) {
  std::error_code ignored;
  std::vector<std::string> identities;  // "pid:start:boot"
  const auto collect = [&](const fs::path& chain) {
    for (const auto& link : fs::directory_iterator(chain, ignored)) {
      identities.push_back(fs::read_symlink(link.path(), ignored).string());
    }
  };
  collect(run / "rgt/supervisors");
  for (const auto& entry : fs::directory_iterator(run / "cells", ignored)) {
    collect(entry.path() / "attempts");
    const std::string record = slurp(entry.path() / "process");
    long pid = 0;
    if (std::sscanf(record.c_str(), "pid=%ld", &pid) == 1 && pid > 1) {
      if (record.find(" start=" + start_time_of(pid) + " ") != std::string::npos) {
        kill(static_cast<pid_t>(-pid), SIGKILL);
      }
    }
  }
  for (const std::string& identity : identities) {
    const auto parts = split(identity, ':');
    const long pid = parts.size() > 1 ? parse_int(parts[0]).value_or(0) : 0;
    if (pid > 1 && start_time_of(pid) == parts[1]) kill(static_cast<pid_t>(pid), SIGKILL);
  }
}

}  // namespace

std::vector<std::string> interpreters() {
  std::vector<std::string> found;
  for (const char* name : {"dash", "bash", "busybox"}) {
    if (!find_tool(name).empty()) found.emplace_back(name);
  }
  return found;
}

ScriptShell::ScriptShell(std::string interpreter, std::string path, fs::path home)
    : interpreter_(std::move(interpreter)), path_(std::move(path)), home_(std::move(home)) {}

Result<ScriptOutcome> ScriptShell::run(const ScriptCall& call, std::stop_token) {
  const fs::path script = home_ / ("script-" + random_hex(8));
  spill(script, std::string(call.script));
  std::vector<std::string> words = {find_tool(interpreter_)};
  if (interpreter_ == "busybox") words.emplace_back("sh");
  words.push_back(script.string());
  words.insert(words.end(), call.args.begin(), call.args.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string path = "PATH=" + path_;
  std::string home = "HOME=" + home_.string();
  std::array<char*, 3> envp = {path.data(), home.data(), nullptr};
  int in[2], out[2], err[2];
  REQUIRE((pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0));
  const pid_t child = fork();
  if (child > 0) setpgid(child, child);  // here and in the child: whoever comes first
  if (child == 0) {
    setpgid(0, 0);
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  ScriptOutcome outcome;
  std::thread killer([&] {
    if (kill_after.count() < 0) return;
    std::this_thread::sleep_for(kill_after);
    kill(-child, SIGKILL);  // not waited for yet, so the number is still the script's
  });
  std::thread writer([&] { write_fd(in[1], call.input); });
  std::thread errors([&] { outcome.err = read_fd(err[0]); });
  outcome.out = read_fd(out[0]);
  writer.join();
  errors.join();
  killer.join();
  int status = 0;
  waitpid(child, &status, 0);
  fs::remove(script);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.truncated = outcome.out.size() > call.output_limit;
  outcome.bytes_sent = call.input.size() + call.script.size();
  outcome.bytes_received = outcome.out.size();
  return outcome;
}

namespace {

fs::path make_root() {
  signal(SIGPIPE, SIG_IGN);  // a script that stops reading must not end the test program
  const fs::path root = fs::temp_directory_path() / ("rgt-onbox-" + random_hex(8));
  fs::create_directories(root / "bin");
  return root;
}

std::string make_path(const std::string& interpreter, const fs::path& root) {
  fs::create_symlink(find_tool(interpreter), root / "bin/sh");
  return (root / "bin").string() + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

}  // namespace

Room::Room(const std::string& interpreter_name)
    : interpreter(interpreter_name),
      root(make_root()),
      runs(root / "runs with 'quotes'"),
      path(make_path(interpreter, root)),
      shell(interpreter, path, root) {}

Room::~Room() {
  std::error_code ignored;
  for (const auto& run : fs::directory_iterator(runs, ignored)) kill_recorded(run.path());
  for (int tries = 0; tries < 100; ++tries) {  // a dying keeper may write its marker meanwhile
    fs::remove_all(root, ignored);
    if (!fs::exists(root, ignored)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::string Room::path_without(const std::vector<std::string>& tools) const {
  const fs::path folder = root / ("tools-" + random_hex(4));
  fs::create_directories(folder);
  fs::copy_symlink(root / "bin/sh", folder / "sh");
  std::error_code ignored;
  for (const char* source : {"/usr/bin", "/bin"}) {
    for (const auto& tool : fs::directory_iterator(source, ignored)) {
      const std::string name = tool.path().filename();
      if (name == "sh" || std::find(tools.begin(), tools.end(), name) != tools.end()) continue;
      fs::create_symlink(tool.path(), folder / name, ignored);
    }
  }
  return folder;
}

JobSpec Room::job(const std::vector<CellSpec>& cells) const {
  JobSpec job;
  job.run = "run-1";
  job.box = "local";
  job.profile = "local";
  job.run_root = runs;
  job.cells = cells;
  job.parallel = 64;
  job.heartbeat_seconds = 1;
  return job;
}

Result<StartReport> Room::start(const JobSpec& spec, bool resume,
                                const std::map<std::string, std::string>& secrets) {
  return start_run(shell, spec, resume, secrets, {});
}

RunReading Room::look_at(const JobSpec& spec, const std::vector<LogPosition>& positions) {
  LookRequest request;
  request.runs.push_back({spec.run, folder(spec), positions});
  auto reading = look(shell, request, {});
  INFO((reading ? "" : reading.error().message));
  REQUIRE(reading.ok());
  REQUIRE(reading->runs.size() == 1);
  return reading->runs[0];
}

RunReading Room::look_until(const JobSpec& spec,
                            const std::function<bool(const RunReading&)>& right) {
  RunReading reading;
  const bool reached = wait_until([&] {
    reading = look_at(spec);
    return right(reading);
  });
  INFO(slurp(folder(spec) / "rgt/supervisor.log"));
  REQUIRE(reached);
  return reading;
}

CellSpec cell(const std::string& name, const std::string& command,
              const std::vector<std::string>& artifacts) {
  CellSpec spec;
  spec.name = name;
  spec.command = command;
  spec.artifacts = artifacts;
  return spec;
}

const CellReading& cell_named(const RunReading& reading, const std::string& name) {
  for (const CellReading& one : reading.cells) {
    if (one.cell == name) return one;
  }
  FAIL("no cell " << name);
  return reading.cells.front();
}

bool all_marked(const RunReading& reading) {
  for (const CellReading& one : reading.cells) {
    if (one.marker == CellReading::Marker::none) return false;
  }
  return !reading.cells.empty();
}

bool wait_until(const std::function<bool()>& right) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!right()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

std::string slurp(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void spill(const fs::path& file, const std::string& bytes) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
}

std::string start_time_of(long pid) {
  const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return {};
  const auto fields = split(std::string_view(stat).substr(name_end + 2), ' ');
  if (fields.size() < 20 || fields[0] == "Z") return {};
  return std::string(fields[19]);
}

}  // namespace rgt::test
