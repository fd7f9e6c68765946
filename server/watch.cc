// SPDX-License-Identifier: MIT
#include "server/watch.h"

#include <unistd.h>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "core/base/text.h"
#include "server/print.h"
#include "server/signals.h"
#include "tools/catalog.h"
#include "tools/report.h"
#include "tools/wait_for_run.h"

namespace rgt {
namespace {

constexpr int kStopped = 130;  // as shells say it for SIGINT

Exit exit_of(WaitEnd end) {
  switch (end) {
    case WaitEnd::met: return Exit::fine;
    case WaitEnd::ended:
    case WaitEnd::stalled: return Exit::attention;
    case WaitEnd::unreachable: return Exit::unreachable;
    case WaitEnd::time_up:
    case WaitEnd::stopped: break;
  }
  return Exit::time_up;
}

std::string outcome_words(const WaitRequest& request, const WaitResult& result) {
  const std::string goal =
      request.until == "ended" || request.until == "done" ? request.until : "the marker";
  switch (result.end) {
    case WaitEnd::met:
      return result.matched.empty() ? goal : "the marker is there: " + result.matched;
    case WaitEnd::ended: return "it ended without " + goal;
    case WaitEnd::stalled: return "it stands still";
    case WaitEnd::time_up: return "time is up and it goes on";
    case WaitEnd::unreachable:
      return "time is up and the box cannot be reached; that does not mean that it is dead";
    case WaitEnd::stopped: return "stopped";
  }
  return {};
}

void print_wait(const WaitRequest& request, const WaitResult& result, bool json) {
  const std::string words = outcome_words(request, result);
  if (json) {
    print_json({{"run", request.run},
                {"until", request.until},
                {"outcome", wait_end_name(result.end)},
                {"verdict", result.verdict},
                {"summary", result.summary},
                {"matched", result.matched},
                {"waited_seconds", result.waited.count()},
                {"looks", result.looks},
                {"next", Json::array({next_to_json(result.next)})}});
    return;
  }
  std::cout << request.run << ": " << words << " (" << result.summary << "; waited "
            << to_words(result.waited) << ", " << result.looks << " looks)\n";
  if (!result.next.say.empty()) std::cout << "Next: " << result.next.say << "\n";
}

// ---- the table of a watch

std::string plain_lines(const Json& tick, Time now) {
  std::string lines = to_iso8601(now) + "  " + text_or(tick, "summary") + "\n";
  for (const Json& row : tick.value("runs", Json::array())) {
    lines += "  " + text_or(row, "run") + "  " + text_or(row, "box") + "  " +
             text_or(row, "verdict") + "  " + text_or(row, "summary") +
             (row.value("changed", false) ? "  (changed)" : "") + "\n";
  }
  return lines;
}

std::string table(const Json& tick, Time now, Seconds until_next) {
  constexpr std::size_t kRun = 24, kBox = 16, kVerdict = 18, kProgress = 60;
  std::ostringstream out;
  const auto cell = [&](const std::string& text, std::size_t width) {
    out << std::left << std::setw(static_cast<int>(width)) << clean_line(text, width) << "  ";
  };
  out << "rgt patrol  " << to_iso8601(now) << "  next look in " << to_words(until_next)
      << "  (Ctrl-C ends the watching, not the runs)\n"
      << text_or(tick, "summary") << "\n\n";
  cell("RUN", kRun);
  cell("BOX", kBox);
  cell("VERDICT", kVerdict);
  out << "PROGRESS\n";
  for (const Json& row : tick.value("runs", Json::array())) {
    cell(text_or(row, "run"), kRun);
    cell(text_or(row, "box"), kBox);
    cell(text_or(row, "verdict"), kVerdict);
    const std::string progress = text_or(row, "progress");
    out << clean_line(progress.empty() ? text_or(row, "summary") : progress, kProgress) << "\n";
  }
  for (const Json& step : tick.value("next", Json::array()))
    out << "\nNext: " << clean_line(text_or(step, "say"), 200);
  out << "\n";
  return out.str();
}

Result<Seconds> duration_or(const std::string& text, Seconds fallback) {
  if (text.empty()) return fallback;
  return parse_duration(text);
}

}  // namespace

int wait_command(Environment& environment, const Options& options) {
  WaitRequest request;
  request.run = options.run;
  if (!options.until.empty()) request.until = options.until;
  const auto timeout = duration_or(options.timeout, request.timeout);
  if (!timeout) return print_error(timeout.error());
  const auto every = duration_or(options.every, request.every);
  if (!every) return print_error(every.error());
  request.timeout = *timeout;
  request.every = *every;
  const Signals signals;
  SystemSleeper sleeper;
  ProgressLine progress(::isatty(STDERR_FILENO) == 1);
  const auto result = wait_for_run(environment, request, sleeper, signals.token(),
                                   [&](const std::string& line) { progress.show(line); });
  progress.clear();
  if (!result) return print_error(result.error());
  print_wait(request, *result, options.json);
  if (result->end == WaitEnd::stopped) return kStopped;
  return static_cast<int>(exit_of(result->end));
}

int watch_patrol(const Tool& patrol_tick, const Json& arguments, const Clock& clock,
                 Sleeper& sleeper, const Watch& watch, std::ostream& out, std::stop_token stop) {
  const Time deadline = clock.now() + watch.how_long;
  while (true) {
    const Call call{.now = clock.now(), .stop = stop};
    const ToolResult tick = patrol_tick.run(arguments, call);
    if (tick.is_error) {
      out << tick.text << std::endl;
      return static_cast<int>(tick.exit);
    }
    const Time now = clock.now();
    const bool over = tick.structured.value("end_patrol", false);
    if (watch.on_terminal)
      out << "\x1b[H\x1b[J" << table(tick.structured, now, over ? Seconds(0) : watch.every);
    else
      out << plain_lines(tick.structured, now);
    out << std::flush;
    if (over) return static_cast<int>(tick.exit);
    if (now >= deadline) return static_cast<int>(Exit::time_up);
    if (!sleeper.sleep(std::min<Milliseconds>(watch.every, deadline - now), stop)) return kStopped;
  }
}

int watch_command(Environment& environment, const Options& options) {
  Watch watch;
  const auto how_long = duration_or(options.watch_for, watch.how_long);
  if (!how_long) return print_error(how_long.error());
  const auto every = duration_or(options.every, watch.every);
  if (!every) return print_error(every.error());
  watch.how_long = *how_long;
  watch.every = *every;
  watch.on_terminal = ::isatty(STDOUT_FILENO) == 1 && !options.json;
  Json arguments = Json::object();
  if (!options.run.empty()) arguments["run"] = options.run;
  const Signals signals;
  SystemSleeper sleeper;
  for (const Tool& tool : catalog(environment)) {
    if (tool.card.name == "patrol_tick")
      return watch_patrol(tool, arguments, environment.clock, sleeper, watch, std::cout,
                          signals.token());
  }
  return static_cast<int>(Exit::usage);
}

}  // namespace rgt
