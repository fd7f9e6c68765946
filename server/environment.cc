// SPDX-License-Identifier: MIT
#include "server/environment.h"

#include <cstdlib>
#include <random>

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/box/ssh_redial.h"

namespace rgt {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The person's own choices, in a file that no tool writes: <state>/policy.json. Anything odd in it
// means the strict defaults.
PersonPolicy read_policy(const std::filesystem::path& state) {
  PersonPolicy policy;
  const auto text = read_file(state / "policy.json", 65536);
  if (!text) return policy;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const bool known = json.is_object() && json.contains("form_approves_irreversible") &&
                     json["form_approves_irreversible"].is_boolean();
  if (!known) {
    log::warn("policy.json is not as expected; the strict defaults hold");
    return policy;
  }
  policy.form_approves_irreversible = json["form_approves_irreversible"].get<bool>();
  return policy;
}

double by_chance() {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.0, 1.0)(engine);
}

}  // namespace

Result<std::unique_ptr<World>> World::make(bool serving) {
  std::unique_ptr<World> world(new World());
  auto state = state_directory();
  if (!state) return state.error();
  world->state_ = *state;
  auto handbook = Handbook::load(variable("RGT_HANDBOOK_DIR"));
  if (!handbook) return handbook.error();
  world->handbook_ = std::move(*handbook);
  SshSettings settings;
  settings.config_file = variable("RGT_SSH_CONFIG");
  settings.redial =
      std::make_shared<RedialBook>(world->state_ / "redial", world->clock_, by_chance);
  settings.keep_warm = serving;
  world->boxes_ = make_boxes(settings, world->processes_);

  world->environment_ = std::make_unique<Environment>(
      Environment{.clock = world->clock_, .boxes = *world->boxes_, .handbook = *world->handbook_});
  Environment& environment = *world->environment_;
  environment.artifact_root = world->state_ / "artifacts";
  environment.policy = read_policy(world->state_);
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
  auto ledger = Ledger::open(world->state_);
  if (ledger) {
    world->ledger_ = std::move(*ledger);
    environment.ledger = world->ledger_.get();
  } else {
    environment.ledger_error = ledger.error();
    log::error(ledger.error().message);
  }
  return world;
}

}  // namespace rgt
