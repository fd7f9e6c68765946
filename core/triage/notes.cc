// SPDX-License-Identifier: MIT
#include "core/triage/notes.h"

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/triage/cell_facts.h"

namespace rgt {
namespace {

// 5 %: a driver's own work shows as one or two.
constexpr int kIdleGpu = 5;
// A host is busy when nine tenths of its CPU time is used, and not by us when we have under a
// quarter of its CPUs.
constexpr double kBusyHost = 0.9;
constexpr double kOurShare = 0.25;
// A tenth of the moment spent waiting for the quota shows in every step.
constexpr double kThrottled = 0.1;
constexpr double kDiskBound = 0.3;
// Half a CPU: an idle Python with a few threads uses a hundredth.
constexpr double kComputes = 0.5;
// Two fifths slower is no fluctuation between epochs.
constexpr double kDrop = 0.6;
// A day ahead, where nobody knows when the run will be through.
constexpr std::int64_t kSoon = 24 * 3600;

std::string percent(double share) {
  return std::to_string(static_cast<int>(share * 100 + 0.5)) + " %";
}
std::string time(std::int64_t seconds) { return to_words(Seconds(seconds)); }

// CPUs that the cell used during the sample.
std::optional<double> cpus_used(const CellFacts& facts, const RunReading& run) {
  if (!facts.reading.effort || !run.sample || run.sample->hundredths == 0) return {};
  return static_cast<double>(facts.reading.effort->ticks) /
         static_cast<double>(run.sample->hundredths);
}

void note_gpu(const RunReading& run, const Pace& before, const Pace& now,
              std::vector<Note>& notes) {
  const auto gpu = run.sample ? sampled_utilisation(*run.sample) : std::optional<int>();
  if (!gpu || *gpu > kIdleGpu) return;
  const bool advanced = !before.points().empty() && !now.points().empty() &&
                        now.points().back().at > before.points().back().at;
  if (advanced)
    notes.push_back({"gpu_idle_steps_advance",
                     "the GPU stood at " + std::to_string(*gpu) +
                         " % when sampled, yet steps advance: it waits for data or runs in bursts, "
                         "it does not hang",
                     {"U38", "T1"}});
  else
    notes.push_back({"gpu_idle",
                     "the GPU stood at " + std::to_string(*gpu) +
                         " % when sampled, and no step was seen to advance since the last look",
                     {"U38"}});
}

void note_host(const CellFacts& facts, const RunReading& run, std::vector<Note>& notes) {
  const auto used = cpus_used(facts, run);
  if (!used || run.sample->cpus == 0) return;
  const HostSample& sample = *run.sample;
  const auto share = [&](std::uint64_t part) {
    return sample.all_ticks == 0
               ? 0.0
               : static_cast<double>(part) / static_cast<double>(sample.all_ticks);
  };
  if (share(sample.busy_ticks) >= kBusyHost &&
      *used < kOurShare * static_cast<double>(sample.cpus)) {
    notes.push_back({"busy_host",
                     "the host's CPUs are " + percent(share(sample.busy_ticks)) +
                         " busy, and this cell uses " + short_number(*used) + " of " +
                         std::to_string(sample.cpus) + ": it is others' work",
                     {"U41"}});
  }
  const double span_usec = static_cast<double>(sample.hundredths) * 10'000;
  if (static_cast<double>(sample.throttled_usec) > kThrottled * span_usec) {
    notes.push_back({"cpu_quota",
                     "the cgroup's CPU quota held its processes back for " +
                         percent(static_cast<double>(sample.throttled_usec) / span_usec) +
                         " of the moment watched: fewer loader threads would be faster",
                     {"U40", "U41"}});
  }
  if (share(sample.waiting_ticks) > kDiskBound) {
    notes.push_back({"disk_bound",
                     "the host's CPUs wait for the disk " + percent(share(sample.waiting_ticks)) +
                         " of the time",
                     {"T8"}});
  }
  const bool silent = facts.stall_after > 0 && facts.quiet_for * 2 >= facts.stall_after;
  if (silent && *used >= kComputes) {
    notes.push_back({"silent_but_computing",
                     "silent for " + time(facts.quiet_for) + ", but its " +
                         std::to_string(facts.reading.effort->processes) + " processes use " +
                         short_number(*used) +
                         " CPUs: a long computation without output, or ranks that spin while they "
                         "wait for one another",
                     {"D20", "T21"}});
  }
}

void note_pace(const Pace& now, std::vector<Note>& notes) {
  const PaceRates rates = now.rates();
  if (!rates.now || !rates.before || *rates.now >= kDrop * *rates.before) return;
  notes.push_back({"throughput_drop",
                   "slower than before: " + short_number(*rates.now * 60) + " a minute now, " +
                       short_number(*rates.before * 60) + " before",
                   {"T1", "U23"}});
}

// `what` will be gone in `trend`; worth a word when that comes before the end of the run.
void note_room(const std::optional<Trend>& trend, const char* id, const std::string& what,
               const std::string& pace, std::optional<std::int64_t> left,
               std::vector<std::string> references, std::vector<Note>& notes) {
  if (!trend || !trend->full_seconds || *trend->full_seconds > left.value_or(kSoon)) return;
  notes.push_back({id,
                   what + " in " + time(*trend->full_seconds) + " at " + pace + " an hour" +
                       (left ? ", and the run needs " + time(*left) + " more" : ""),
                   std::move(references), true});
}

std::string bytes(double value) {
  return human_bytes(static_cast<std::uint64_t>(value < 0 ? 0 : value));
}

}  // namespace

std::optional<int> sampled_utilisation(const HostSample& sample) {
  std::int64_t sum = 0, count = 0;
  for (const std::string& line : sample.gpus) {
    const std::vector<std::string_view> fields = split(line, ',');
    const auto value = fields.size() >= 2 ? parse_uint(trim(fields[1])) : std::nullopt;
    if (!value || *value > 100) continue;
    sum += static_cast<std::int64_t>(*value);
    ++count;
  }
  if (count == 0) return {};
  return static_cast<int>(sum / count);
}

std::vector<Note> notes_on_cell(const CellFacts& facts, const RunReading& run, const Pace& before,
                                const Pace& now) {
  std::vector<Note> notes;
  if (!facts.running() || !facts.unmarked()) return notes;
  note_gpu(run, before, now, notes);
  note_host(facts, run, notes);
  note_pace(now, notes);
  return notes;
}

std::vector<Note> notes_on_run(const Trends& trends, std::optional<std::int64_t> left) {
  std::vector<Note> notes;
  if (trends.disk)
    note_room(trends.disk, "disk_full_soon", "the disk is full", bytes(trends.disk->per_hour), left,
              {"U6", "C2"}, notes);
  if (trends.inodes)
    note_room(trends.inodes, "inodes_full_soon", "the inodes are used up",
              std::to_string(static_cast<std::int64_t>(trends.inodes->per_hour)) + " inodes", left,
              {"U7"}, notes);
  if (trends.memory)
    note_room(trends.memory, "memory_creep", "memory reaches its limit",
              bytes(trends.memory->per_hour), left, {"U9", "U41"}, notes);
  return notes;
}

}  // namespace rgt
