// SPDX-License-Identifier: MIT
#include "server/mcp/changes.h"

#include <utility>

namespace rgt::mcp {

Changes::Subscription& Changes::Subscription::operator=(Subscription&& other) noexcept {
  std::swap(hub_, other.hub_);
  std::swap(id_, other.id_);
  return *this;
}

Changes::Subscription::~Subscription() {
  if (hub_ == nullptr) return;
  const std::scoped_lock lock(hub_->mutex_);
  hub_->listeners_.erase(id_);
}

Changes::Subscription Changes::listen(Listener listener) {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t id = next_++;
  listeners_.emplace(id, std::move(listener));
  return {this, id};
}

void Changes::tell(const Change& change) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, listener] : listeners_) listener(change);
}

}  // namespace rgt::mcp
