// SPDX-License-Identifier: MIT
#include "server/mcp/session.h"

#include <utility>

#include "core/base/text.h"
#include "server/mcp/wire.h"

namespace rgt::mcp {
namespace {

RpcError bad_params(std::string message) { return {kInvalidParams, std::move(message), nullptr}; }

bool has_text(const Json& params, const char* key) {
  const auto found = params.find(key);
  return found != params.end() && found->is_string();
}

}  // namespace

Session::Session(Service& service, std::function<void(const std::string&)> news)
    : service_(service), news_(std::move(news)) {
  peer_.log_level = service.options().log_level;
  subscription_ = service.offer().changes.listen([this](const Change& change) { tell(change); });
}

std::string Session::revision() const {
  const std::scoped_lock lock(mutex_);
  return revision_;
}

Peer Session::peer() const {
  const std::scoped_lock lock(mutex_);
  return peer_;
}

Outcome Session::answer(const Request& request, Exchange& exchange) {
  const std::string& method = request.method;
  if (!Service::has_method(method, Era::handshake))
    return RpcError{kMethodNotFound, "unknown method " + clean_line(method, 80), nullptr};
  if (method == "ping") return Json::object();
  if (method == "initialize") return initialize(request.params);
  if (!open_) {
    return RpcError{kInvalidRequest,
                    "initialize must come first (or name revision 2026-07-28 in params._meta)",
                    nullptr};
  }
  if (method == "logging/setLevel") return set_level(request.params);
  if (method == "resources/subscribe") return subscribe(request.params, true);
  if (method == "resources/unsubscribe") return subscribe(request.params, false);
  return service_.answer(request, exchange);
}

Outcome Session::initialize(const Json& params) {
  if (!has_text(params, "protocolVersion"))
    return bad_params("params.protocolVersion: expected a revision such as 2025-11-25");
  const std::scoped_lock lock(mutex_);
  if (open_) return RpcError{kInvalidRequest, "already initialized", nullptr};
  const Json capabilities = params.value("capabilities", Json::object());
  if (capabilities.is_object()) peer_.capabilities = capabilities;
  const Json client = params.value("clientInfo", Json::object());
  if (client.is_object() && has_text(client, "name"))
    peer_.name = client["name"].get<std::string>();
  revision_ = negotiate(params["protocolVersion"].get_ref<const std::string&>());
  open_ = true;
  Json result{{"protocolVersion", revision_},
              {"capabilities", service_.capabilities(Era::handshake)},
              {"serverInfo", implementation(service_.offer().info, false)}};
  if (!service_.offer().info.instructions.empty())
    result["instructions"] = service_.offer().info.instructions;
  return result;
}

Outcome Session::set_level(const Json& params) {
  const auto level =
      has_text(params, "level") ? log_level(params["level"].get<std::string>()) : std::nullopt;
  if (!level)
    return bad_params(
        "params.level: expected debug, info, notice, warning, error, critical, alert or emergency");
  const std::scoped_lock lock(mutex_);
  peer_.log_level = level;
  return Json::object();
}

Outcome Session::subscribe(const Json& params, bool on) {
  if (!has_text(params, "uri")) return bad_params("params.uri: expected the URI of a resource");
  const std::scoped_lock lock(mutex_);
  if (!on) {
    followed_.erase(params["uri"].get<std::string>());
    return Json::object();
  }
  if (followed_.size() >= kMostSubscriptions)
    return bad_params("1000 resources are followed already; unsubscribe from some first");
  followed_.insert(params["uri"].get<std::string>());
  return Json::object();
}

void Session::tell(const Change& change) {
  if (!open_) return;
  switch (change.kind) {
    case Change::Kind::tools:
      return news_(write_notification("notifications/tools/list_changed", Json::object()));
    case Change::Kind::prompts:
      return news_(write_notification("notifications/prompts/list_changed", Json::object()));
    case Change::Kind::resources:
      return news_(write_notification("notifications/resources/list_changed", Json::object()));
    case Change::Kind::task: return;  // of the stateless revision only
    case Change::Kind::resource: break;
  }
  {
    const std::scoped_lock lock(mutex_);
    if (!followed_.contains(change.name)) return;
  }
  news_(write_notification("notifications/resources/updated", {{"uri", change.name}}));
}

}  // namespace rgt::mcp
