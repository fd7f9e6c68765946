// SPDX-License-Identifier: MIT
// Looks at many boxes at once, cold and warm, and says what they cost: the client side of
// bench/look.sh. Prints words and numbers for a table; never asserts.
//   look_load SSH_CONFIG RUN_FOLDER ROUNDS BOX...   each BOX holds the run named by the folder
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/box/boxes.h"
#include "core/box/look.h"

namespace rgt {
namespace {

using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

// Of this process alone, user and system: what the looks cost here, whatever the boxes cost.
double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_kib() {
  const auto status = read_file("/proc/self/status", 65536);
  const std::size_t at = status ? status->find("VmRSS:") : std::string::npos;
  return at == std::string::npos ? 0 : std::strtod(status->c_str() + at + 6, nullptr);
}

struct Round {
  double wall = 0, cpu = 0;
  std::vector<double> each = {};  // seconds per box, sorted
  std::size_t failed = 0;
  int turns = 0;  // the most that one look waited for
  std::uint64_t sent = 0, received = 0;
};

struct Fleet {
  std::unique_ptr<Boxes> boxes;
  std::vector<std::string> names;
  std::string folder;
  std::vector<LogPosition> positions = {};  // per box

  Round look_at_all() {
    Round round;
    std::vector<Result<Reading>> readings(names.size(), Error{});
    round.each.resize(names.size());
    const double cpu = cpu_seconds();
    const auto start = Steady::now();
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < names.size(); ++i) {
        threads.emplace_back([&, i] {
          LookRequest request;
          request.runs.push_back({std::filesystem::path(folder).filename(), folder, {}});
          if (!positions[i].cell.empty()) request.runs[0].positions = {positions[i]};
          const auto mine = Steady::now();
          readings[i] = look(*boxes->shell(names[i]).value(), request, {});
          round.each[i] = seconds_since(mine);
        });
      }
    }
    round.wall = seconds_since(start);
    round.cpu = cpu_seconds() - cpu;
    for (std::size_t i = 0; i < names.size(); ++i) note(readings[i], positions[i], round);
    std::sort(round.each.begin(), round.each.end());
    return round;
  }

  static void note(const Result<Reading>& reading, LogPosition& position, Round& round) {
    if (!reading || reading->runs.size() != 1 || reading->runs[0].cells.empty()) {
      if (round.failed++ == 0)
        std::fprintf(stderr, "%s\n", reading ? "no cell" : reading.error().message.c_str());
      return;
    }
    const CellReading& cell = reading->runs[0].cells[0];
    position = {cell.cell, cell.log_inode, cell.log_size};
    round.turns = std::max(round.turns, reading->round_trips);
    round.sent += reading->bytes_sent;
    round.received += reading->bytes_received;
  }
};

void print(const char* what, const Round& round) {
  const std::size_t boxes = round.each.size();
  std::printf(
      "%s: boxes %zu failed %zu wall %.3f s, own cpu %.3f s, per box median %.1f ms worst %.1f ms, "
      "waits %d, bytes %llu up %llu down\n",
      what, boxes, round.failed, round.wall, round.cpu, round.each[boxes / 2] * 1000,
      round.each.back() * 1000, round.turns, static_cast<unsigned long long>(round.sent / boxes),
      static_cast<unsigned long long>(round.received / boxes));
  std::fflush(stdout);
}

int run(const std::string& config, const std::string& folder, int rounds,
        std::vector<std::string> names) {
  SystemProcessRunner processes;
  SshSettings settings;
  settings.config_file = config;
  settings.connect_timeout = Seconds(60);  // 256 key exchanges share this machine with their sshds
  settings.keep_warm = true;
  const double before = resident_kib();
  Fleet fleet{make_boxes(settings, processes), std::move(names), folder, {}};
  fleet.positions.resize(fleet.names.size());
  print("cold", fleet.look_at_all());
  for (int i = 0; i < rounds; ++i) {
    std::this_thread::sleep_for(Seconds(2));  // as between two ticks: shells are prepared meanwhile
    print("warm", fleet.look_at_all());
  }
  if (fleet.names.size() > 1) {
    // By then all is old that a script that stayed on a box remembers.
    std::this_thread::sleep_for(Seconds(65));
    print("warm, after a minute", fleet.look_at_all());
  }
  std::printf("resident: %.0f KiB per box\n",
              (resident_kib() - before) / static_cast<double>(fleet.names.size()));
  return 0;
}

}  // namespace
}  // namespace rgt

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: look_load SSH_CONFIG RUN_FOLDER ROUNDS BOX...\n");
    return 2;
  }
  return rgt::run(argv[1], argv[2], std::atoi(argv[3]), {argv + 4, argv + argc});
}
