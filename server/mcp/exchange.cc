// SPDX-License-Identifier: MIT
#include "server/mcp/exchange.h"

#include <utility>

#include "core/base/text.h"
#include "server/mcp/wire.h"

namespace rgt::mcp {
namespace {

RpcError bad_meta(const std::string& key, const std::string& expected) {
  return {kInvalidParams, "params._meta[\"" + key + "\"]: expected " + expected, nullptr};
}

// A request's parameters without what changes from round to round.
std::string same_in_every_round(const Request& request) {
  Json params = request.params;
  params.erase("_meta");
  params.erase("inputResponses");
  params.erase("requestState");
  return request.method + "\n" + params.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::variant<Peer, RpcError> read_envelope(const Json& params) {
  const auto meta = params.find("_meta");
  if (meta == params.end() || !meta->is_object())
    return RpcError{kInvalidParams, "params._meta: expected an object", nullptr};
  const auto version = meta->find(kMetaVersion);
  if (version == meta->end() || !version->is_string())
    return bad_meta(kMetaVersion, "a revision such as 2026-07-28");
  const auto capabilities = meta->find(kMetaCapabilities);
  if (capabilities == meta->end() || !capabilities->is_object())
    return bad_meta(kMetaCapabilities, "an object");
  Peer peer;
  peer.era = Era::stateless;
  peer.capabilities = *capabilities;
  if (const auto client = meta->find(kMetaClient); client != meta->end()) {
    if (!client->is_object()) return bad_meta(kMetaClient, "an object");
    if (const auto name = client->find("name"); name != client->end() && name->is_string())
      peer.name = name->get<std::string>();
  }
  if (const auto level = meta->find(kMetaLogLevel); level != meta->end()) {
    peer.log_level = level->is_string() ? log_level(level->get<std::string>()) : std::nullopt;
    if (!peer.log_level) return bad_meta(kMetaLogLevel, "a level such as info");
  }
  if (*version != kStatelessRevision) {
    return RpcError{kUnsupportedVersion,
                    "protocol version " + clean_line(version->get<std::string>(), 40) +
                        " is not served without a handshake",
                    {{"supported", {kStatelessRevision}}, {"requested", *version}}};
  }
  return peer;
}

Exchange::Exchange(const Request& request, Peer peer, Send send, std::stop_token stop,
                   Asking asking)
    : id_(request.id),
      peer_(std::move(peer)),
      send_(std::move(send)),
      stop_(std::move(stop)),
      asking_(asking) {
  const auto meta = request.params.find("_meta");
  if (meta == request.params.end() || !meta->is_object()) return;
  const auto token = meta->find("progressToken");
  if (token != meta->end() && (token->is_string() || token->is_number_integer()))
    progress_token_ = *token;
}

void Exchange::progress(double progress, std::optional<double> total, const std::string& message) {
  if (!wants_progress()) return;
  const std::scoped_lock lock(mutex_);
  if (last_progress_ && progress <= *last_progress_) return;
  last_progress_ = progress;
  Json params{{"progressToken", progress_token_}, {"progress", progress}};
  if (total) params["total"] = *total;
  if (!message.empty()) params["message"] = message;
  send_(write_notification("notifications/progress", params));
}

void Exchange::log(LogLevel level, const std::string& logger, const Json& data) {
  if (!peer_.log_level || level < *peer_.log_level) return;
  Json params{{"level", name_of(level)}, {"data", data}};
  if (!logger.empty()) params["logger"] = logger;
  send_(write_notification("notifications/message", params));
}

Inputs Exchange::ask(const std::vector<InputRequest>& requests) {
  for (const InputRequest& request : requests) {
    if (!can_be_asked(peer_.capabilities, request)) return {};
  }
  return peer_.era == Era::handshake ? ask_and_wait(requests) : ask_by_replay(requests);
}

Inputs Exchange::ask_and_wait(const std::vector<InputRequest>& requests) {
  if (asking_.questions == nullptr) return {};
  std::vector<Questions::Question> questions;
  for (const InputRequest& request : requests)
    questions.push_back({request.method, request.params});
  const auto answers =
      asking_.questions->ask(questions, stop_, asking_.patience,
                             [this](const std::string& message) { return send_(message); });
  Inputs inputs{Inputs::Kind::given, {}};
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!answers[i] || std::holds_alternative<RpcError>(answers[i]->outcome)) return {};
    Json answer = std::get<Json>(answers[i]->outcome);
    if (malformed_input(requests[i], answer)) {
      if (requests[i].method != "elicitation/create") return {};
      answer = {{"action", "cancel"}};  // a form that was not filled in is no answer of a person
    }
    inputs.given[requests[i].key] = std::move(answer);
  }
  return inputs;
}

Inputs Exchange::ask_by_replay(const std::vector<InputRequest>& requests) {
  const std::scoped_lock lock(mutex_);
  Inputs inputs{Inputs::Kind::given, {}};
  for (const InputRequest& request : requests) {
    auto answer = answers_.find(request.key);
    bool answered = answer != answers_.end();
    if (!answered && !request.must_be_shown) {
      answer = unasked_.find(request.key);
      answered = answer != unasked_.end();
    }
    if (!answered) {
      wanted_[request.key] = {{"method", request.method}, {"params", request.params}};
      inputs.kind = Inputs::Kind::waiting;
      continue;
    }
    if (const auto wrong = malformed_input(request, answer->second)) {
      failure_ =
          RpcError{kInvalidParams, "params.inputResponses." + request.key + ": " + *wrong, nullptr};
      inputs.kind = Inputs::Kind::waiting;
      continue;
    }
    used_[request.key] = answer->second;
    inputs.given[request.key] = answer->second;
  }
  return inputs;
}

std::optional<RpcError> Exchange::read_inputs(const Request& request) {
  bound_to_ = same_in_every_round(request);
  Json asked = Json::object();
  if (const auto state = request.params.find("requestState"); state != request.params.end()) {
    if (!state->is_string())
      return RpcError{kInvalidParams, "params.requestState: expected a string", nullptr};
    const auto opened = asking_.seal->open(state->get<std::string>(), bound_to_, asking_.now);
    if (!opened)
      return RpcError{kInvalidParams, opened.error().message + "; " + opened.error().next, nullptr};
    for (const auto& [key, answer] : (*opened)["answers"].items()) answers_[key] = answer;
    asked = (*opened)["asked"];
  }
  const auto given = request.params.find("inputResponses");
  if (given == request.params.end()) return std::nullopt;
  if (!given->is_object())
    return RpcError{kInvalidParams, "params.inputResponses: expected an object", nullptr};
  for (const auto& [key, answer] : given->items())
    (asked.contains(key) ? answers_ : unasked_)[key] = answer;
  return std::nullopt;
}

Outcome Exchange::settle(Outcome outcome) {
  const std::scoped_lock lock(mutex_);
  if (failure_) return *failure_;
  if (wanted_.empty()) return outcome;
  Json asked = Json::object();
  for (const auto& [key, request] : wanted_.items()) asked[key] = true;
  const Json state{{"answers", used_}, {"asked", std::move(asked)}};
  return Json{{"resultType", "input_required"},
              {"inputRequests", wanted_},
              {"requestState", asking_.seal->seal(state, bound_to_, asking_.now)}};
}

}  // namespace rgt::mcp
