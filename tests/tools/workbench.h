// SPDX-License-Identifier: MIT
// The tools on real things in a folder of their own: local box or one over SSH, real ledger, real
// handbook. The clock can be moved; the box can be cut off.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "core/box/boxes.h"
#include "tests/fakes/broken_boxes.h"
#include "tests/temporary_folder.h"
#include "tools/catalog.h"
#include "tools/environment.h"

namespace rgt {

class MovableClock final : public Clock {
 public:
  Time now() const override { return SystemClock().now() + offset; }
  Milliseconds offset = Milliseconds(0);
};

class Workbench {
 public:
  // On another box than this machine: how to reach it, and its name there.
  explicit Workbench(SshSettings settings = {}, std::string box = "local");

  ToolResult call(const std::string& tool, const Json& arguments,
                  std::function<Answer(const Question&)> ask = {});

  ToolResult call_with_progress(const std::string& tool, const Json& arguments,
                                std::function<void(const std::string&)> on_progress);

  // A job on the box with one cell per command; artifacts as given for every cell.
  Json job(const std::string& run, const std::vector<std::string>& commands,
           const std::vector<std::string>& artifacts) const;
  // Calls probe until the condition on its result holds; fails the test after 30 s.
  Json probe_until(const std::string& run, const std::function<bool(const Json&)>& holds);
  Json wait_for_end(const std::string& run);

  std::filesystem::path folder() const { return folder_.path(); }
  std::filesystem::path run_folder(const std::string& run) const { return folder() / "box" / run; }
  std::filesystem::path local_copy(const std::string& run, const std::string& cell,
                                   const std::string& path) const {
    return folder() / "artifacts" / run / cell / path;
  }
  Ledger& ledger() { return *ledger_; }
  BreakableBoxes& boxes() { return boxes_; }
  MovableClock& clock() { return clock_; }
  Environment& environment() { return environment_; }

 private:
  TemporaryFolder folder_ = {};
  MovableClock clock_ = {};
  SystemProcessRunner processes_ = {};
  const std::string box_;
  std::unique_ptr<Boxes> real_boxes_;
  BreakableBoxes boxes_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Handbook> handbook_;
  Environment environment_;
  std::vector<Tool> tools_;
};

// Shell text that writes a well-formed safetensors file of one F32 tensor to $RGT_OUT/NAME.
std::string write_safetensors(const std::string& name);

}  // namespace rgt
