// SPDX-License-Identifier: MIT
#include "server/calls.h"

#include <algorithm>

namespace rgt::mcp {

using Steady = std::chrono::steady_clock;

Calls::Calls(Seconds limit)
    : limit_(limit), watcher_([this](std::stop_token stop) { watch(stop); }) {}

Calls::~Calls() {
  watcher_.request_stop();
  changed_.notify_all();
  stop_all();
  std::map<std::string, std::shared_ptr<Running>> left;
  {
    const std::scoped_lock lock(mutex_);
    left.swap(running_);
  }
  for (auto& [id, call] : left) call->thread.join();
}

Calls::Started Calls::start(const Json& id, std::function<void(std::stop_token)> work) {
  reap();
  const std::string key = id.dump();
  const std::scoped_lock lock(mutex_);
  if (running_.contains(key)) return Started::id_in_use;
  if (running_.size() >= kAtOnce) return Started::too_many;
  auto call = std::make_shared<Running>();
  call->until = Steady::now() + limit_;
  call->thread = std::thread([this, call, work = std::move(work)] {
    work(call->stop.get_token());
    const std::scoped_lock done(mutex_);
    call->finished = true;
    changed_.notify_all();
  });
  running_.emplace(key, std::move(call));
  return Started::yes;
}

void Calls::cancel(const Json& id) {
  std::shared_ptr<Running> call;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = running_.find(id.dump());
    if (found == running_.end()) return;
    call = found->second;
    call->cancelled = true;
  }
  call->stop.request_stop();  // outside the lock: stop callbacks may do anything
}

void Calls::stop_all() {
  std::vector<std::shared_ptr<Running>> calls;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [id, call] : running_) calls.push_back(call);
  }
  for (const auto& call : calls) call->stop.request_stop();
}

void Calls::wait_idle(Milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] {
    return std::all_of(running_.begin(), running_.end(),
                       [](const auto& entry) { return entry.second->finished; });
  });
}

bool Calls::was_cancelled(const Json& id) const {
  const std::scoped_lock lock(mutex_);
  const auto found = running_.find(id.dump());
  return found != running_.end() && found->second->cancelled;
}

void Calls::reap() {
  std::vector<std::shared_ptr<Running>> finished;
  {
    const std::scoped_lock lock(mutex_);
    for (auto entry = running_.begin(); entry != running_.end();) {
      if (entry->second->finished) {
        finished.push_back(entry->second);
        entry = running_.erase(entry);
      } else {
        ++entry;
      }
    }
  }
  for (const auto& call : finished) call->thread.join();
}

void Calls::watch(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    // A second is exact enough for limits of minutes.
    changed_.wait_for(lock, stop, Seconds(1), [] { return false; });
    std::vector<std::shared_ptr<Running>> late;
    for (const auto& [id, call] : running_) {
      if (!call->finished && Steady::now() >= call->until) late.push_back(call);
    }
    lock.unlock();
    for (const auto& call : late) call->stop.request_stop();
    lock.lock();
  }
}

std::optional<Response> Questions::ask(const std::string& method, const Json& params,
                                       std::stop_token stop, Seconds patience, const Send& send) {
  std::unique_lock lock(mutex_);
  if (closed_) return std::nullopt;
  const Json id = "rgt-" + std::to_string(next_++);
  const std::string key = id.dump();
  open_[key] = std::nullopt;
  lock.unlock();
  const bool sent = send(write_request(id, method, params));
  lock.lock();
  if (sent)
    changed_.wait_for(lock, stop, patience, [&] { return closed_ || open_[key].has_value(); });
  std::optional<Response> answer = std::move(open_[key]);
  open_.erase(key);
  const bool give_up = sent && !answer && !closed_;
  lock.unlock();
  if (give_up)
    send(write_notification("notifications/cancelled",
                            {{"requestId", id}, {"reason", "no answer in time"}}));
  return answer;
}

void Questions::answered(Response response) {
  const std::scoped_lock lock(mutex_);
  const auto found = open_.find(response.id.dump());
  if (found == open_.end()) return;
  found->second = std::move(response);
  changed_.notify_all();
}

void Questions::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace rgt::mcp
