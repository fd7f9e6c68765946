// SPDX-License-Identifier: MIT
// pull_load SSH_CONFIG BOX FAR NEAR [STREAMS]: pulls every file below FAR (the box is this machine,
// so they are listed here) to NEAR as verify_artifacts does, and prints the seconds it took.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "core/base/text.h"
#include "core/box/boxes.h"

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  if (argc < 5) {
    std::fprintf(stderr, "usage: pull_load SSH_CONFIG BOX FAR NEAR [STREAMS]\n");
    return 2;
  }
  rgt::SystemProcessRunner processes;
  const auto boxes = rgt::make_boxes({.config_file = argv[1]}, processes);
  rgt::PullRequest request;
  request.remote_root = fs::absolute(argv[3]).string();
  request.local_root = argv[4];
  request.streams = argc > 5 ? rgt::parse_uint(argv[5]).value_or(4) : 4;
  request.on_progress = [](std::uint64_t, double) {};
  for (const auto& entry : fs::recursive_directory_iterator(request.remote_root)) {
    if (!entry.is_regular_file()) continue;
    request.paths.push_back(entry.path().lexically_relative(request.remote_root).string());
    request.sizes.push_back(entry.file_size());
  }
  const auto transfer = boxes->transfer(argv[2]);
  if (!transfer) return 1;
  const auto start = std::chrono::steady_clock::now();
  const auto report = (*transfer)->pull(request, {});
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  if (!report) {
    std::fprintf(stderr, "pull_load: %s\n", report.error().message.c_str());
    return 1;
  }
  std::printf("%.2f\n", spent.count());
  return 0;
}
