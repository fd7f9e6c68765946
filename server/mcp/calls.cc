// SPDX-License-Identifier: MIT
#include "server/mcp/calls.h"

#include <utility>
#include <vector>

namespace rgt::mcp {

using Steady = std::chrono::steady_clock;

Calls::Calls(Seconds limit, std::size_t at_once)
    : limit_(limit),
      at_once_(at_once),
      workers_(at_once),
      watcher_([this](std::stop_token stop) { watch(stop); }) {}

Calls::~Calls() {
  watcher_.request_stop();
  changed_.notify_all();
  stop_all();
}

Calls::Started Calls::start(const std::string& key, std::function<void(std::stop_token)> work) {
  auto call = std::make_shared<Running>();
  call->until = Steady::now() + limit_;
  {
    const std::scoped_lock lock(mutex_);
    if (!running_.emplace(key, call).second) return Started::key_in_use;
  }
  const bool taken = workers_.run([this, key, call, work = std::move(work)]() mutable {
    work(call->stop.get_token());
    work = nullptr;
    const std::scoped_lock done(mutex_);
    running_.erase(key);
    changed_.notify_all();
  });
  if (taken) return Started::yes;
  const std::scoped_lock lock(mutex_);
  running_.erase(key);
  changed_.notify_all();
  return Started::too_many;
}

void Calls::cancel(const std::string& key) {
  std::shared_ptr<Running> call;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = running_.find(key);
    if (found == running_.end()) return;
    call = found->second;
    call->cancelled = true;
  }
  call->stop.request_stop();  // outside the lock: stop callbacks may do anything
}

void Calls::cancel_all(std::string_view prefix) {
  std::vector<std::shared_ptr<Running>> calls;
  {
    const std::scoped_lock lock(mutex_);
    for (auto entry = running_.lower_bound(prefix);
         entry != running_.end() && entry->first.starts_with(prefix); ++entry) {
      entry->second->cancelled = true;
      calls.push_back(entry->second);
    }
  }
  for (const auto& call : calls) call->stop.request_stop();
}

void Calls::stop_all() {
  std::vector<std::shared_ptr<Running>> calls;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [key, call] : running_) calls.push_back(call);
  }
  for (const auto& call : calls) call->stop.request_stop();
}

void Calls::wait_idle(Milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return running_.empty(); });
}

void Calls::wait_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return running_.empty(); });
}

bool Calls::was_cancelled(const std::string& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = running_.find(key);
  return found != running_.end() && found->second->cancelled;
}

void Calls::watch(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    // A second is exact enough for limits of minutes.
    changed_.wait_for(lock, stop, Seconds(1), [] { return false; });
    std::vector<std::shared_ptr<Running>> late;
    for (const auto& [key, call] : running_) {
      if (Steady::now() >= call->until) late.push_back(call);
    }
    lock.unlock();
    for (const auto& call : late) call->stop.request_stop();
    lock.lock();
  }
}

}  // namespace rgt::mcp
