// SPDX-License-Identifier: MIT
#include "core/base/log.h"

#include <cstdlib>
#include <string>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace rgt::log {
namespace {

spdlog::level::level_enum start_level() {
  const char* wanted = std::getenv("RGT_LOG");
  const std::string name = wanted == nullptr ? "warn" : wanted;
  const auto level = spdlog::level::from_str(name);
  // from_str answers `off` for words it does not know; silence must be asked for by name.
  if (level == spdlog::level::off && name != "off") return spdlog::level::warn;
  return level;
}

// One logger for the process: stderr is one stream, whoever writes to it.
spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("rgt", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    made->set_level(start_level());
    return made;
  }();
  return *instance;
}

}  // namespace

void set_level(Level level) {
  switch (level) {
    case Level::debug: logger().set_level(spdlog::level::debug); break;
    case Level::info: logger().set_level(spdlog::level::info); break;
    case Level::warn: logger().set_level(spdlog::level::warn); break;
    case Level::error: logger().set_level(spdlog::level::err); break;
    case Level::off: logger().set_level(spdlog::level::off); break;
  }
}

void debug(std::string_view message) { logger().debug("{}", message); }
void info(std::string_view message) { logger().info("{}", message); }
void warn(std::string_view message) { logger().warn("{}", message); }
void error(std::string_view message) { logger().error("{}", message); }

}  // namespace rgt::log
