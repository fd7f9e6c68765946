// SPDX-License-Identifier: MIT
#include "server/mcp/stdio_server.h"

#include <utility>

#include "server/mcp/wire.h"

namespace rgt::mcp {
namespace {

// `echo MESSAGE | rgt serve` closes stdin at once and still wants its answer; a host that closes
// wants us gone before it reaches for SIGTERM.
constexpr Milliseconds kLastAnswers(3000);

bool claims_stateless(const Json& params) {
  const auto meta = params.find("_meta");
  return meta != params.end() && meta->is_object() && meta->contains(kMetaVersion);
}

}  // namespace

StdioServer::StdioServer(Service& service, Transport& transport)
    : service_(service),
      transport_(transport),
      session_(service, [this](const std::string& message) { send(message); }) {}

void StdioServer::serve() {
  while (!gone_) {
    const Incoming incoming = transport_.read();
    if (incoming.kind == Incoming::Kind::closed) break;
    if (incoming.kind == Incoming::Kind::too_long) {
      send(write_error(
          {}, {kInvalidRequest,
               "the message is longer than this server reads (4 MiB); it was dropped", nullptr}));
      continue;
    }
    on_message(incoming.text);
  }
  session_.close();
  Calls& calls = service_.calls();
  if (!gone_) calls.wait_idle(kLastAnswers);
  calls.stop_all();
  calls.wait_idle();
}

void StdioServer::send(const std::string& message) {
  if (!transport_.write(message)) gone_ = true;
}

void StdioServer::on_message(const std::string& text) {
  auto parsed = parse_message(text);
  if (const auto* malformed = std::get_if<Malformed>(&parsed)) {
    send(write_error(malformed->id, malformed->error));
    return;
  }
  Message& message = std::get<Message>(parsed);
  if (auto* request = std::get_if<Request>(&message)) on_request(std::move(*request));
  if (const auto* notification = std::get_if<Notification>(&message))
    on_notification(*notification);
  if (auto* response = std::get_if<Response>(&message)) session_.answered(std::move(*response));
}

void StdioServer::on_notification(const Notification& notification) {
  const auto id = notification.params.find("requestId");
  if (notification.method == "notifications/cancelled" && id != notification.params.end())
    service_.calls().cancel(id->dump());
}

void StdioServer::on_request(Request request) {
  Peer peer = session_.peer();
  if (claims_stateless(request.params)) {
    auto envelope = read_envelope(request.params);
    if (const auto* error = std::get_if<RpcError>(&envelope))
      return send(write_error(request.id, *error));
    peer = std::get<Peer>(std::move(envelope));
  }
  const std::string key = request.id.dump();
  // A call before the handshake is refused at once.
  const bool at_once =
      !Service::takes_long(request.method) || (peer.era == Era::handshake && !session_.is_open());
  if (at_once) return answer(request, peer, {}, key);
  const Json id = request.id;
  const auto started =
      service_.calls().start(key, [this, request = std::move(request), peer = std::move(peer), key](
                                      std::stop_token stop) { answer(request, peer, stop, key); });
  if (started == Calls::Started::key_in_use) {
    send(write_error(
        id, {kInvalidRequest, "a request with this id is still being worked on", nullptr}));
  } else if (started == Calls::Started::too_many) {
    send(write_error(id, {kInternalError,
                          "more than " + std::to_string(service_.calls().at_once()) +
                              " calls at once; wait for some to end, then call again",
                          nullptr}));
  }
}

void StdioServer::answer(const Request& request, const Peer& peer, std::stop_token stop,
                         const std::string& key) {
  // Nothing more is said about a request that its client has cancelled.
  const auto send_related = [this, &key](const std::string& message) {
    if (service_.calls().was_cancelled(key)) return false;
    send(message);
    return !gone_;
  };
  Exchange exchange(request, peer, send_related, std::move(stop),
                    service_.asking(&session_.questions()));
  const Outcome outcome = peer.era == Era::stateless ? service_.answer(request, exchange)
                                                     : session_.answer(request, exchange);
  send_related(write_outcome(request.id, outcome));
}

}  // namespace rgt::mcp
