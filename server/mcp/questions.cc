// SPDX-License-Identifier: MIT
#include "server/mcp/questions.h"

#include <algorithm>
#include <utility>

namespace rgt::mcp {

std::vector<std::optional<Response>> Questions::ask(const std::vector<Question>& questions,
                                                    std::stop_token stop, Seconds patience,
                                                    const Send& send) {
  std::vector<std::optional<Response>> answers(questions.size());
  std::vector<Json> ids;
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return answers;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      ids.emplace_back("rgt-" + std::to_string(next_++));
      open_[ids.back().dump()] = std::nullopt;
    }
  }
  bool sent = true;
  for (std::size_t i = 0; i < questions.size() && sent; ++i)
    sent = send(write_request(ids[i], questions[i].method, questions[i].params));

  std::unique_lock lock(mutex_);
  const auto all_answered = [&] {
    return std::all_of(ids.begin(), ids.end(),
                       [&](const Json& id) { return open_[id.dump()].has_value(); });
  };
  if (sent) changed_.wait_for(lock, stop, patience, [&] { return closed_ || all_answered(); });
  const bool gone = !sent || closed_;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    answers[i] = std::move(open_[ids[i].dump()]);
    open_.erase(ids[i].dump());
  }
  lock.unlock();
  for (std::size_t i = 0; i < ids.size() && !gone; ++i) {
    if (answers[i]) continue;
    send(write_notification("notifications/cancelled",
                            {{"requestId", ids[i]}, {"reason", "no longer waiting for this"}}));
  }
  return answers;
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
