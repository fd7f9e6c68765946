// SPDX-License-Identifier: MIT
#include "server/mcp/listening.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "server/mcp/wire.h"

namespace rgt::mcp {
namespace {

constexpr std::size_t kMostNames = 1000;  // URIs or tasks in one filter

std::optional<RpcError> read_names(const Json& notifications, const char* key,
                                   std::set<std::string>& names) {
  const auto given = notifications.find(key);
  if (given == notifications.end()) return std::nullopt;
  const std::string path = std::string("params.notifications.") + key;
  if (!given->is_array() || given->size() > kMostNames)
    return RpcError{kInvalidParams, path + ": expected a list of at most 1000 strings", nullptr};
  for (const Json& name : *given) {
    if (!name.is_string()) return RpcError{kInvalidParams, path + ": expected strings", nullptr};
    names.insert(name.get<std::string>());
  }
  return std::nullopt;
}

bool is_true(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

const char* method_of(Change::Kind kind) {
  switch (kind) {
    case Change::Kind::tools: return "notifications/tools/list_changed";
    case Change::Kind::prompts: return "notifications/prompts/list_changed";
    case Change::Kind::resources: return "notifications/resources/list_changed";
    case Change::Kind::resource: return "notifications/resources/updated";
    case Change::Kind::task: return "notifications/tasks";
  }
  return "";
}

}  // namespace

bool ListenFilter::wants(const Change& change) const {
  switch (change.kind) {
    case Change::Kind::tools: return tools;
    case Change::Kind::prompts: return prompts;
    case Change::Kind::resources: return resources;
    case Change::Kind::resource: return uris.contains(change.name);
    case Change::Kind::task: return tasks.contains(change.name);
  }
  return false;
}

Json ListenFilter::accepted() const {
  Json json = Json::object();
  if (tools) json["toolsListChanged"] = true;
  if (prompts) json["promptsListChanged"] = true;
  if (resources) json["resourcesListChanged"] = true;
  if (!uris.empty()) json["resourceSubscriptions"] = uris;
  if (!tasks.empty()) json["taskIds"] = tasks;
  return json;
}

std::variant<ListenFilter, RpcError> read_filter(const Json& params, bool lists_change) {
  const auto notifications = params.find("notifications");
  if (notifications == params.end() || !notifications->is_object())
    return RpcError{kInvalidParams, "params.notifications: expected an object", nullptr};
  ListenFilter filter;
  filter.tools = lists_change && is_true(*notifications, "toolsListChanged");
  filter.prompts = lists_change && is_true(*notifications, "promptsListChanged");
  filter.resources = is_true(*notifications, "resourcesListChanged");
  if (auto wrong = read_names(*notifications, "resourceSubscriptions", filter.uris)) return *wrong;
  if (auto wrong = read_names(*notifications, "taskIds", filter.tasks)) return *wrong;
  return filter;
}

Outcome run_listener(const ListenFilter& filter, Changes& changes, Tasks& tasks,
                     Exchange& exchange) {
  const Json tag{{kMetaSubscription, exchange.id()}};
  std::mutex mutex;
  std::condition_variable_any changed;
  std::set<Change> news;
  const auto subscription = changes.listen([&](const Change& change) {
    if (!filter.wants(change)) return;
    const std::scoped_lock lock(mutex);
    news.insert(change);
    changed.notify_all();
  });
  // After the listening began, so that nothing is missed; before any news, which this thread sends.
  exchange.send(write_notification("notifications/subscriptions/acknowledged",
                                   {{"notifications", filter.accepted()}, {"_meta", tag}}));
  std::unique_lock lock(mutex);
  while (changed.wait(lock, exchange.stop(), [&] { return !news.empty(); })) {
    std::set<Change> batch;
    batch.swap(news);
    lock.unlock();
    for (const Change& change : batch) {
      Json params = Json::object();
      if (change.kind == Change::Kind::resource) params["uri"] = change.name;
      if (change.kind == Change::Kind::task) {
        auto task = tasks.describe(change.name);
        if (!task) continue;
        params = std::move(*task);
      }
      params["_meta"] = tag;
      if (!exchange.send(write_notification(method_of(change.kind), params))) return Json::object();
    }
    lock.lock();
  }
  lock.unlock();
  // Only a server that ends comes here with a client who listens: the cancellation page wants the
  // one, the subscriptions page the other.
  exchange.send(write_notification(
      "notifications/cancelled", {{"requestId", exchange.id()}, {"reason", "server is closing"}}));
  return Json{{"_meta", tag}};
}

}  // namespace rgt::mcp
