// SPDX-License-Identifier: MIT
#include "core/box/look.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/box/fields.h"
#include "core/box/onbox.h"

namespace rgt {
namespace {

constexpr std::uint64_t kLogBudget = 8u << 20;   // new log bytes of all cells in one look: a second
                                                 // or so on a slow link
constexpr std::size_t kOutputLimit = 24u << 20;  // the budget in base64, and 256 cells' other lines
constexpr std::size_t kMaxRuns = 256;            // on one box; the parser's bounds, far above use
constexpr std::size_t kMaxCells = 256;           // per run, as in the job
constexpr std::size_t kMaxGpus = 64;
constexpr std::size_t kMaxHeartbeats = 16;
constexpr std::int64_t kMaxTime = 1ll << 40;          // unix seconds; any clock is below it
constexpr std::size_t kMaxGpuSamples = 3 * kMaxGpus;  // three rounds
constexpr std::size_t kMaxKernelLines = 20;           // as the script sends
constexpr std::size_t kKernelLine = 300;              // bytes, as the script cuts them
constexpr std::size_t kHeadBytes = 1024;              // of a log's beginning
constexpr std::uint64_t kMaxTicks = 1ull << 40;       // 1/100 s: a thousand CPUs for a century
constexpr std::size_t kGpuLine = 200;  // bytes: name, utilisation, memory, temperature

Life life_at(AnswerReader& answer, std::size_t index) {
  const std::string_view word = answer.raw(index);
  if (word == "running") return Life::running;
  if (word == "ended") return Life::ended;
  if (word != "unknown") answer.fail("running, ended or unknown");
  return Life::unknown;
}

CellReading::Marker marker_at(AnswerReader& answer, std::size_t index) {
  const std::string_view word = answer.raw(index);
  if (word == "done") return CellReading::Marker::done;
  if (word == "failed") return CellReading::Marker::failed;
  if (word != "none") answer.fail("none, done or failed");
  return CellReading::Marker::none;
}

void read_log(AnswerReader& answer, CellReading& cell) {
  answer.take("log", 6);
  cell.log_inode = answer.number(0);
  cell.log_size = answer.number(1);
  cell.log_mtime = answer.integer(2, 0, kMaxTime);
  cell.log_from = answer.number(3);
  cell.log_rotated = answer.flag(4);
  cell.log_bytes = answer.text(5);
  // Fewer bytes than announced: the log shrank under the look. More: nobody could have sent them.
  if (answer.ok() &&
      (cell.log_from > cell.log_size || cell.log_bytes.size() > cell.log_size - cell.log_from)) {
    answer.fail("log bytes inside the log's size");
  }
}

CellReading read_cell(AnswerReader& answer) {
  CellReading cell;
  answer.take("cell", 14);
  cell.cell = answer.name(0);
  cell.marker = marker_at(answer, 1);
  cell.exit_code = static_cast<int>(answer.integer(2, -1, 255));
  cell.signal = static_cast<int>(answer.integer(3, 0, 64));
  cell.attempt = static_cast<int>(answer.integer(4, 0, 1'000'000));
  cell.life = life_at(answer, 5);
  cell.process.pid = answer.integer(6, 0, 1ll << 31);
  cell.process.start_time = std::to_string(answer.number(7));
  cell.process.boot_id = clean_line(answer.text(8), 64);
  cell.started_at = answer.integer(9, 0, kMaxTime);
  cell.ended_at = answer.integer(10, 0, kMaxTime);
  cell.newest_write = answer.integer(11, 0, kMaxTime);
  cell.artifacts_present = answer.number(12, 1'000'000);
  cell.artifacts_expected = answer.number(13, 1'000'000);
  read_log(answer, cell);
  if (answer.at("effort")) {
    answer.take("effort", 2);
    cell.effort = Effort{answer.number(0, 1'000'000), answer.number(1, kMaxTicks)};
  }
  if (answer.at("head")) {
    answer.take("head", 1);
    cell.log_head = answer.text(0).substr(0, kHeadBytes);
  }
  return cell;
}

Heartbeat read_heartbeat(AnswerReader& answer) {
  Heartbeat beat;
  answer.take("heartbeat", 7);
  beat.time = answer.integer(0, 0, kMaxTime);
  beat.disk_free_bytes = answer.number(1);
  beat.inodes_free = answer.number(2);
  beat.memory_bytes = answer.number(3);
  beat.memory_limit = answer.number(4);
  beat.oom_kills = answer.number(5);
  beat.gpu = clean_line(answer.text(6), kGpuLine);
  return beat;
}

HostSample read_sample(AnswerReader& answer) {
  HostSample sample;
  answer.take("sample", 7);
  sample.hundredths = answer.number(0, kMaxTicks);
  sample.cpus = answer.number(1, 100'000);
  sample.busy_ticks = answer.number(2, kMaxTicks);
  sample.waiting_ticks = answer.number(3, kMaxTicks);
  sample.all_ticks = answer.number(4, kMaxTicks);
  sample.cgroup_usec = answer.number(5);
  sample.throttled_usec = answer.number(6);
  while (answer.at("gpu-sample") && sample.gpus.size() < kMaxGpuSamples) {
    answer.take("gpu-sample", 1);
    sample.gpus.push_back(clean_line(answer.text(0), kGpuLine));
  }
  return sample;
}

KernelLine read_kernel(AnswerReader& answer) {
  answer.take("kernel", 2);
  KernelLine line;
  line.time = answer.integer(0, 0, kMaxTime);
  line.text = clean_line(answer.text(1), kKernelLine);
  return line;
}

RunReading read_run(AnswerReader& answer) {
  RunReading run;
  answer.take("run", 2);
  run.run = answer.name(0);
  run.folder_exists = answer.flag(1);
  if (run.folder_exists) {
    answer.take("digest", 1);
    run.spec_digest = clean_line(answer.text(0), 64);
    answer.take("supervisor", 3);
    run.supervisor = life_at(answer, 0);
    run.supervisor_from_older_boot = answer.flag(1);
    run.supervisor_finished = answer.flag(2);
    answer.take("disk", 4);
    run.disk_free_bytes = answer.number(0);
    run.disk_total_bytes = answer.number(1);
    run.inodes_free = answer.number(2);
    run.inodes_total = answer.number(3);
    while (answer.at("heartbeat") && run.heartbeats.size() < kMaxHeartbeats) {
      run.heartbeats.push_back(read_heartbeat(answer));
    }
    while (answer.at("cell") && run.cells.size() < kMaxCells) {
      run.cells.push_back(read_cell(answer));
    }
    if (answer.at("sample")) run.sample = read_sample(answer);
    while (answer.at("kernel") && run.kernel.size() < kMaxKernelLines) {
      run.kernel.push_back(read_kernel(answer));
    }
  }
  answer.take("end-run", 0);
  return run;
}

std::string request_lines(const LookRequest& request) {
  std::string lines;
  for (const LookRequest::Run& run : request.runs) {
    lines += "run " + run.name + " " + onbox_word(run.folder) + "\n";
    for (const LogPosition& seen : run.positions) {
      lines += "pos " + seen.cell + " " + std::to_string(seen.inode) + " " +
               std::to_string(seen.offset) + "\n";
    }
  }
  return lines + "end\n";
}

Result<void> check_request(const LookRequest& request) {
  if (request.runs.size() > kMaxRuns) {
    return Error{
        Code::limit,
        "a look takes at most 256 runs, and was asked for " + std::to_string(request.runs.size()),
        "look at fewer runs at once"};
  }
  for (const LookRequest::Run& run : request.runs) {
    bool right = is_safe_name(run.name) && !run.folder.empty() && run.folder[0] == '/' &&
                 run.folder.find('\0') == std::string::npos;
    for (const LogPosition& seen : run.positions) right = right && is_safe_name(seen.cell);
    if (right) continue;
    return Error{Code::invalid_argument,
                 "the run '" + clean_line(run.name, 64) + "' in '" + clean_line(run.folder, 200) +
                     "' cannot be looked at: expected safe names and an absolute folder",
                 "use the run's name and folder as `rgt runs` shows them"};
  }
  return {};
}

}  // namespace

Result<Reading> parse_look(std::string_view text) {
  AnswerReader answer(text, "rgt-look 2");
  Reading reading;
  answer.take("boot", 1);
  reading.boot_id = clean_line(answer.text(0), 64);
  reading.machine_id = read_machine_id(answer);
  while (answer.at("gpu") && reading.gpus.size() < kMaxGpus) {
    answer.take("gpu", 1);
    reading.gpus.push_back(clean_line(answer.text(0), kGpuLine));
  }
  while (answer.at("run") && reading.runs.size() < kMaxRuns) {
    reading.runs.push_back(read_run(answer));
  }
  answer.take("time", 1);
  reading.box_time = answer.integer(0, 0, kMaxTime);
  answer.take("end", 0);
  if (!answer.ok()) return answer.error();
  return reading;
}

Result<Reading> look(Shell& shell, const LookRequest& request, std::stop_token stop) {
  if (auto right = check_request(request); !right) return right.error();
  const std::string script = onbox_script("look");
  ScriptCall call;
  call.script = script;
  call.args = {std::to_string(request.log_bytes_limit), std::to_string(request.tail_bytes),
               std::to_string(kLogBudget), request.in_depth ? "1" : "0"};
  call.input = request_lines(request);
  call.stays = true;
  call.idle_timeout = Seconds(30);  // nvidia-smi may take its 10 s, df and find their 5 s each
  call.total_timeout = Seconds(90);
  call.output_limit = kOutputLimit;
  Result<ScriptOutcome> outcome = shell.run(call, stop);
  Reading cost;
  if (outcome) {
    cost.bytes_sent = outcome->bytes_sent;
    cost.bytes_received = outcome->bytes_received;
    cost.round_trips = outcome->round_trips;
    cost.connected_anew = outcome->connected_anew;
  }
  auto text = onbox_answer(std::move(outcome), "the look");
  if (!text) return text.error();
  auto reading = parse_look(*text);
  if (!reading) return reading.error();
  const bool same_runs = std::equal(
      reading->runs.begin(), reading->runs.end(), request.runs.begin(), request.runs.end(),
      [](const RunReading& read, const LookRequest::Run& asked) { return read.run == asked.name; });
  if (!same_runs) {
    return Error{Code::corrupt, "the box answered about other runs than the look asked for",
                 "look again; if it stays, the box's sh is broken"};
  }
  reading->bytes_sent = cost.bytes_sent;
  reading->bytes_received = cost.bytes_received;
  reading->round_trips = cost.round_trips;
  reading->connected_anew = cost.connected_anew;
  return reading;
}

}  // namespace rgt
