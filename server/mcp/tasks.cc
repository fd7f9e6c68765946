// SPDX-License-Identifier: MIT
#include "server/mcp/tasks.h"

#include <algorithm>
#include <utility>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace rgt::mcp {
namespace {

constexpr Milliseconds kPollInterval(1000);  // a suggestion to the client

RpcError unknown_task() {
  return {kInvalidParams,
          "params.taskId: no such task (they end with the server's process and a day after they "
          "were made)",
          nullptr};
}

}  // namespace

struct Tasks::Task {
  std::string id = {};
  Time created = {};

  std::mutex mutex = {};
  std::condition_variable_any changed = {};
  Time updated = {};
  std::string status = "working";
  std::string message = {};
  Outcome outcome = Json::object();               // once it ended
  std::map<std::string, InputRequest> open = {};  // asked and not answered yet
  std::map<std::string, Json> answers = {};

  bool has_ended() const {
    return status == "completed" || status == "failed" || status == "cancelled";
  }
};

// A task's work asks by leaving its questions in the task until tasks/update brings the answers.
class Tasks::TaskContext final : public Context {
 public:
  TaskContext(Tasks& tasks, Task& task, const Peer& peer, std::stop_token stop)
      : tasks_(tasks), task_(task), peer_(peer), stop_(std::move(stop)) {}

  std::stop_token stop() const override { return stop_; }
  const Json& client_capabilities() const override { return peer_.capabilities; }
  const std::string& client_name() const override { return peer_.name; }
  bool wants_progress() const override { return true; }
  void log(LogLevel, const std::string&, const Json&) override {}  // not part of the extension

  void progress(double, std::optional<double>, const std::string& message) override {
    if (message.empty()) return;
    {
      const std::scoped_lock lock(task_.mutex);
      task_.message = message;
    }
    tasks_.touch(task_);
  }

  Inputs ask(const std::vector<InputRequest>& requests) override {
    for (const InputRequest& request : requests) {
      if (!can_be_asked(peer_.capabilities, request)) return {};
    }
    std::unique_lock lock(task_.mutex);
    for (const InputRequest& request : requests) {
      if (task_.answers.contains(request.key)) continue;
      task_.open.emplace(request.key, request);
      task_.status = "input_required";
    }
    const bool must_ask = task_.status == "input_required";
    lock.unlock();
    if (must_ask) tasks_.touch(task_);
    lock.lock();
    const auto answered = [&] {
      return std::all_of(requests.begin(), requests.end(), [&](const InputRequest& request) {
        return task_.answers.contains(request.key);
      });
    };
    if (!task_.changed.wait(lock, stop_, answered)) return {};
    task_.status = "working";
    Inputs inputs{Inputs::Kind::given, {}};
    for (const InputRequest& request : requests)
      inputs.given[request.key] = task_.answers[request.key];
    return inputs;
  }

 private:
  Tasks& tasks_;
  Task& task_;
  const Peer& peer_;
  const std::stop_token stop_;
};

Tasks::~Tasks() {
  calls_.cancel_all("task/");
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return running_ == 0; });
}

Outcome Tasks::create(Peer peer, std::map<std::string, Json> answers, Work work) {
  const Time now = clock_.now();
  auto task = std::make_shared<Task>();
  task->id = random_hex(16);
  task->created = task->updated = now;
  task->answers = std::move(answers);
  {
    const std::scoped_lock lock(mutex_);
    forget_old(now);
    if (tasks_.size() >= kMost)
      return RpcError{kInternalError, "256 tasks are running; cancel some, then call again",
                      nullptr};
    tasks_[task->id] = task;
    ++running_;
  }
  const auto started = calls_.start(
      "task/" + task->id,
      [this, task, peer = std::move(peer), work = std::move(work)](std::stop_token stop) {
        TaskContext context(*this, *task, peer, stop);
        Outcome outcome = work(context);
        const bool was_cancelled = calls_.was_cancelled("task/" + task->id);
        {
          const std::scoped_lock lock(task->mutex);
          task->open.clear();
          if (was_cancelled)
            task->status = "cancelled";
          else
            task->status = std::holds_alternative<RpcError>(outcome) ? "failed" : "completed";
          task->outcome = std::move(outcome);
        }
        touch(*task);
        const std::scoped_lock lock(mutex_);
        --running_;
        idle_.notify_all();
      });
  if (started != Calls::Started::yes) {
    const std::scoped_lock lock(mutex_);
    tasks_.erase(task->id);
    --running_;
    return RpcError{kInternalError, "too many calls at once; wait for some to end, then call again",
                    nullptr};
  }
  Json created = described(*task);
  // The handle says that there is a task; what became of it is tasks/get's to tell.
  for (const char* key : {"result", "error", "inputRequests"}) created.erase(key);
  created["resultType"] = "task";
  return created;
}

Outcome Tasks::get(const Json& params) {
  const auto task = find(params);
  if (!task) return unknown_task();
  return described(*task);
}

Outcome Tasks::update(const Json& params) {
  const auto task = find(params);
  if (!task) return unknown_task();
  const auto given = params.find("inputResponses");
  if (given == params.end() || !given->is_object())
    return RpcError{kInvalidParams, "params.inputResponses: expected an object", nullptr};
  {
    const std::scoped_lock lock(task->mutex);
    for (const auto& [key, answer] : given->items()) {
      const auto asked = task->open.find(key);
      if (asked == task->open.end()) continue;  // answered before, or never asked: ignored
      if (const auto wrong = malformed_input(asked->second, answer)) {
        return RpcError{kInvalidParams,
                        "params.inputResponses." + clean_line(key, 80) + ": " + *wrong, nullptr};
      }
      task->answers[key] = answer;
      task->open.erase(asked);
    }
    if (task->open.empty() && task->status == "input_required") task->status = "working";
    task->changed.notify_all();
  }
  touch(*task);
  return Json::object();
}

Outcome Tasks::cancel(const Json& params) {
  const auto task = find(params);
  if (!task) return unknown_task();
  calls_.cancel("task/" + task->id);
  return Json::object();
}

std::optional<Json> Tasks::describe(const std::string& id) {
  const auto task = find({{"taskId", id}});
  if (!task) return std::nullopt;
  return described(*task);
}

std::shared_ptr<Tasks::Task> Tasks::find(const Json& params) {
  const auto id = params.find("taskId");
  if (id == params.end() || !id->is_string()) return nullptr;
  const std::scoped_lock lock(mutex_);
  const auto found = tasks_.find(id->get_ref<const std::string&>());
  return found == tasks_.end() ? nullptr : found->second;
}

Json Tasks::described(Task& task) {
  const std::scoped_lock lock(task.mutex);
  Json json{{"taskId", task.id},
            {"status", task.status},
            {"createdAt", to_iso8601(task.created)},
            {"lastUpdatedAt", to_iso8601(task.updated)},
            {"ttlMs", kKept.count()},
            {"pollIntervalMs", kPollInterval.count()}};
  if (!task.message.empty()) json["statusMessage"] = task.message;
  if (task.status == "input_required") {
    for (const auto& [key, request] : task.open)
      json["inputRequests"][key] = {{"method", request.method}, {"params", request.params}};
  } else if (task.status == "completed") {
    json["result"] = std::get<Json>(task.outcome);
  } else if (task.status == "failed") {
    const auto& error = std::get<RpcError>(task.outcome);
    json["error"] = {{"code", error.code}, {"message", error.message}};
    if (!error.data.is_null()) json["error"]["data"] = error.data;
  }
  return json;
}

void Tasks::touch(Task& task) {
  {
    const std::scoped_lock lock(task.mutex);
    task.updated = clock_.now();
  }
  changes_.tell({Change::Kind::task, task.id});
}

void Tasks::forget_old(Time now) {
  std::erase_if(tasks_, [&](const auto& entry) {
    const std::scoped_lock lock(entry.second->mutex);
    return entry.second->has_ended() && now - entry.second->created > kKept;
  });
  while (tasks_.size() >= kMost) {
    auto oldest = tasks_.end();
    for (auto entry = tasks_.begin(); entry != tasks_.end(); ++entry) {
      const std::scoped_lock lock(entry->second->mutex);
      if (!entry->second->has_ended()) continue;
      if (oldest == tasks_.end() || entry->second->created < oldest->second->created)
        oldest = entry;
    }
    if (oldest == tasks_.end()) return;
    tasks_.erase(oldest);
  }
}

}  // namespace rgt::mcp
