// SPDX-License-Identifier: MIT
#include "server/mcp/http/endpoint.h"

#include <utility>

#include "core/base/text.h"
#include "server/mcp/http/headers.h"
#include "server/mcp/wire.h"

namespace rgt::mcp {
namespace {

using Steady = std::chrono::steady_clock;

constexpr const char* kJsonType = "application/json";
constexpr const char* kEventsType = "text/event-stream";
constexpr const char* kSessionHeader = "Mcp-Session-Id";
constexpr const char* kVersionHeader = "MCP-Protocol-Version";
// How often a waiting connection looks whether its client is still there.
constexpr Milliseconds kLookInterval(250);
// What stands between us and a client may close a connection that is silent for a minute.
constexpr Milliseconds kKeepAlive = Seconds(15);
// When a client whose stream ended early should come back, in milliseconds.
constexpr int kRetry = 1000;
// The revision that told clients to expect an event without a message (SEP-1699); older ones take
// it for a broken message.
constexpr std::string_view kPrimedRevision = "2025-11-25";

std::optional<std::string> header_of(const httplib::Request& request, const std::string& name) {
  if (!request.has_header(name)) return std::nullopt;
  return std::string(trim(request.get_header_value(name)));
}

bool accepts(const httplib::Request& request, std::string_view type) {
  const auto accept = header_of(request, "Accept");
  if (!accept || accept->empty()) return true;
  const std::string group(type.substr(0, type.find('/') + 1));
  for (const std::string_view entry : split(*accept, ',')) {
    const std::string range = to_lower(trim(entry.substr(0, entry.find(';'))));
    if (range == type || range == "*/*" || range == group + "*") return true;
  }
  return false;
}

// Specification 2026-07-28, "Streamable HTTP", Errors. What is wrong inside a well-formed request
// is told in a response that went well.
int status_of(const Outcome& outcome) {
  const auto* error = std::get_if<RpcError>(&outcome);
  if (error == nullptr) return 200;
  switch (error->code) {
    case kMethodNotFound: return 404;
    case kHeaderMismatch:
    case kMissingCapability:
    case kUnsupportedVersion: return 400;
    default: return 200;
  }
}

void answer_json(httplib::Response& response, int status, const std::string& message) {
  response.status = status;
  response.set_content(message, kJsonType);
}

bool claims_stateless(const Json& params) {
  const auto meta = params.find("_meta");
  return meta != params.end() && meta->is_object() && meta->contains(kMetaVersion);
}

std::string as_event(const std::string& id, const std::string& message) {
  return (id.empty() ? "" : "id: " + id + "\n") + "event: message\ndata: " + message + "\n\n";
}

}  // namespace

// What a connection waits for.
struct Endpoint::Reply {
  std::shared_ptr<EventStream> stream = {};
  std::uint64_t reader = 0;
  std::string key = {};  // of the call, cancelled when the client hangs up; "" if not
  bool primed = false;   // begin with an event that has an id and no message
  std::shared_ptr<HttpSession> session = {};  // kept alive and fresh while somebody reads
  std::string connection = {};
};

void refuse(httplib::Response& response, int status, const std::string& message, int code) {
  answer_json(response, status, write_error({}, {code, message, nullptr}));
}

Endpoint::Endpoint(Service& service, Connections& connections, EndpointLimits limits)
    : service_(service),
      connections_(connections),
      limits_(limits),
      sessions_(service, limits.session_idle, limits.sessions) {}

// ---- POST

bool Endpoint::read_body(const httplib::Request& request, httplib::Response& response,
                         const httplib::ContentReader& read, std::string& body) {
  bool too_long = false;
  const bool whole = read([&](const char* bytes, std::size_t size) {
    too_long = body.size() + size > limits_.body;
    if (!too_long) body.append(bytes, size);
    return !too_long;
  });
  if (whole && !too_long) return true;
  if (Connection* connection = connections_.find(request.get_header_value(kConnectionHeader)))
    connection->close_after();
  if (too_long)
    refuse(response, 413, "the body is longer than this server reads (4 MiB)");
  else
    refuse(response, 400, "the body did not arrive whole", kParseError);
  return false;
}

void Endpoint::post(const httplib::Request& http, httplib::Response& response,
                    const httplib::ContentReader& read) {
  std::string body;
  if (!read_body(http, response, read, body)) return;
  if (closing_) return refuse(response, 503, "the server is closing", kInternalError);
  auto parsed = parse_message(body);
  if (const auto* malformed = std::get_if<Malformed>(&parsed))
    return answer_json(response, 400, write_error(malformed->id, malformed->error));
  Message& message = std::get<Message>(parsed);
  if (auto* request = std::get_if<Request>(&message))
    return post_request(http, response, std::move(*request));

  const auto version = header_of(http, kVersionHeader);
  const auto* notification = std::get_if<Notification>(&message);
  const bool stateless = version == std::string(kStatelessRevision) ||
                         (notification != nullptr && claims_stateless(notification->params));
  response.status = 202;
  // The revision without sessions has no notification of a client, and nothing to respond to.
  if (stateless && notification != nullptr) return;
  if (stateless) return refuse(response, 400, "a response to a request that nobody sent");
  const auto session = session_of(http, response);
  if (!session) return;
  if (auto* answer = std::get_if<Response>(&message))
    session->session().answered(std::move(*answer));
  else if (notification->method == "notifications/cancelled" &&
           notification->params.contains("requestId"))
    service_.calls().cancel(session->key_of(notification->params["requestId"]));
}

void Endpoint::post_request(const httplib::Request& http, httplib::Response& response,
                            Request request) {
  if (!accepts(http, kJsonType) && !accepts(http, kEventsType))
    return refuse(response, 406, "Accept: expected application/json and text/event-stream");
  const auto version = header_of(http, kVersionHeader);
  if (claims_stateless(request.params)) return post_stateless(http, response, std::move(request));
  if (request.method == "initialize") return initialize(response, request);
  if (version == std::string(kStatelessRevision))
    return post_stateless(http, response, std::move(request));
  post_handshake(http, response, std::move(request));
}

// The order of the checks is the specification's, as far as it has one: what a request says of
// itself, before what it asks for.
void Endpoint::post_stateless(const httplib::Request& http, httplib::Response& response,
                              Request request) {
  const auto fail = [&](int status, const RpcError& error) {
    answer_json(response, status, write_error(request.id, error));
  };
  const HeaderOf header = [&](const std::string& name) { return header_of(http, name); };
  if (claims_stateless(request.params)) {
    const auto version = header(kVersionHeader);
    const Json& claimed = request.params["_meta"][kMetaVersion];
    if (!version || (claimed.is_string() && *version != claimed.get_ref<const std::string&>())) {
      return fail(400, {kHeaderMismatch,
                        std::string("header ") + kVersionHeader + " must be params._meta[\"" +
                            kMetaVersion + "\"]",
                        nullptr});
    }
  }
  auto envelope = read_envelope(request.params);
  if (const auto* error = std::get_if<RpcError>(&envelope)) return fail(400, *error);
  if (const auto wrong = check_routing_headers(request, header)) return fail(400, *wrong);
  if (!Service::has_method(request.method, Era::stateless)) {
    return fail(404,
                {kMethodNotFound, "unknown method " + clean_line(request.method, 80), nullptr});
  }
  if (request.method == "tools/call") {
    const auto tool = service_.find_tool(request.params);
    const Json arguments = request.params.value("arguments", Json::object());
    const auto wrong =
        tool ? check_param_headers(arguments, tool->card.at("inputSchema"), header) : std::nullopt;
    if (wrong) return fail(400, *wrong);
  }
  start(http, response, std::move(request), std::get<Peer>(std::move(envelope)), nullptr);
}

void Endpoint::post_handshake(const httplib::Request& http, httplib::Response& response,
                              Request request) {
  auto session = session_of(http, response);
  if (!session) return;
  Peer peer = session->session().peer();
  start(http, response, std::move(request), std::move(peer), std::move(session));
}

void Endpoint::initialize(httplib::Response& response, const Request& request) {
  const auto session = sessions_.create();
  if (!session)
    return refuse(response, 503, "too many sessions; end some, or wait", kInternalError);
  const Outcome outcome = run(request, session->session().peer(), session.get(), nullptr, {}, "");
  if (std::holds_alternative<RpcError>(outcome))
    sessions_.end(session->id());
  else
    response.set_header(kSessionHeader, session->id());
  answer_json(response, 200, write_outcome(request.id, outcome));
}

// The session that the request belongs to; null: `response` says why not.
std::shared_ptr<HttpSession> Endpoint::session_of(const httplib::Request& http,
                                                  httplib::Response& response) {
  const auto version = header_of(http, kVersionHeader);
  if (version && !is_handshake_revision(*version)) {
    refuse(response, 400,
           std::string(kVersionHeader) + " " + clean_line(*version, 40) +
               " is not one of ours: " + "2025-11-25, 2025-06-18, or 2026-07-28 with params._meta");
    return nullptr;
  }
  const auto id = header_of(http, kSessionHeader);
  if (!id) {
    refuse(response, 400,
           std::string(kSessionHeader) + ": expected the one that initialize was answered with");
    return nullptr;
  }
  auto session = sessions_.find(*id);
  if (!session) refuse(response, 404, "no such session; initialize again");
  return session;
}

// ---- calls

Outcome Endpoint::run(const Request& request, const Peer& peer, HttpSession* session,
                      const std::shared_ptr<EventStream>& stream, std::stop_token stop,
                      const std::string& key) {
  // Nothing more is said about a request that its client has cancelled.
  const auto send = [&](const std::string& message) {
    return stream && !service_.calls().was_cancelled(key) && stream->push(message);
  };
  Questions* questions = session == nullptr ? nullptr : &session->session().questions();
  Exchange exchange(request, peer, send, std::move(stop), service_.asking(questions));
  if (stream && stream->resumable()) exchange.on_release = [&] { stream->hang_up(); };
  return session == nullptr ? service_.answer(request, exchange)
                            : session->session().answer(request, exchange);
}

void Endpoint::start(const httplib::Request& http, httplib::Response& response, Request request,
                     Peer peer, std::shared_ptr<HttpSession> session) {
  if (!Service::takes_long(request.method)) {
    const Outcome outcome = run(request, peer, session.get(), nullptr, {}, "");
    return answer_json(response, session ? 200 : status_of(outcome),
                       write_outcome(request.id, outcome));
  }
  Reply reply;
  reply.connection = http.get_header_value(kConnectionHeader);
  reply.session = session;
  reply.primed = session && session->session().revision() == kPrimedRevision;
  reply.stream = session ? session->open_stream() : std::make_shared<EventStream>("", false);
  reply.reader = reply.stream->begin_reading();
  const std::string key =
      session ? session->key_of(request.id) : "post/" + std::to_string(next_call_++);
  if (!session) reply.key = key;
  const Json id = request.id;
  const auto started =
      service_.calls().start(key, [this, request = std::move(request), peer = std::move(peer),
                                   session, stream = reply.stream, key](std::stop_token stop) {
        const Outcome outcome = run(request, peer, session.get(), stream, stop, key);
        if (service_.calls().was_cancelled(key)) return stream->finish({});
        stream->finish(write_outcome(request.id, outcome), session ? 200 : status_of(outcome));
      });
  if (started == Calls::Started::yes) return answer_with(http, response, std::move(reply));
  reply.stream->finish({});
  const bool in_use = started == Calls::Started::key_in_use;
  const std::string why = in_use ? "a request with this id is still being worked on"
                                 : "too many calls at once; wait for some to end, then call again";
  answer_json(response, in_use ? 400 : 503,
              write_error(id, {in_use ? kInvalidRequest : kInternalError, why, nullptr}));
}

// One message and no more before long: JSON. Else a stream.
void Endpoint::answer_with(const httplib::Request& http, httplib::Response& response, Reply reply) {
  const bool takes_json = accepts(http, kJsonType);
  const bool takes_events = accepts(http, kEventsType);
  Connection* connection = connections_.find(reply.connection);
  const auto began = Steady::now();
  std::uint64_t position = 0;
  while (true) {
    EventStream::Event event;
    const Milliseconds patience = std::min(kLookInterval, limits_.silence_before_stream);
    const auto got = reply.stream->next(reply.reader, position, event, patience);
    if (got == EventStream::Got::event && event.last && takes_json)
      return answer_json(response, event.status, event.message);
    if (got == EventStream::Got::event && !takes_events) {
      position = event.number;  // a client that cannot be told on the way waits for the end
      continue;
    }
    const bool silent = Steady::now() - began >= limits_.silence_before_stream;
    if (got != EventStream::Got::nothing || (silent && takes_events)) break;
    if (connection != nullptr && connection->is_gone()) {
      if (!reply.key.empty()) service_.calls().cancel(reply.key);
      connection->close_after();
      break;
    }
  }
  stream(response, std::move(reply), position);
}

void Endpoint::stream(httplib::Response& response, Reply reply, std::uint64_t position) {
  response.status = 200;
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Accel-Buffering", "no");  // for a proxy that would wait for more
  struct State {
    Reply reply = {};
    std::uint64_t position = 0;
    bool begun = false;
    Steady::time_point last_sent = Steady::now();
  };
  auto state = std::make_shared<State>(State{std::move(reply), position, false, Steady::now()});
  response.set_chunked_content_provider(
      kEventsType,
      [state](std::size_t, httplib::DataSink& sink) {
        Reply& to = state->reply;
        const auto send = [&](const std::string& text) {
          state->last_sent = Steady::now();
          return sink.write(text.data(), text.size());
        };
        if (!std::exchange(state->begun, true)) {
          const std::string retry = "retry: " + std::to_string(kRetry) + "\n";
          // Without something to send, the client would not hear that it was let in.
          if (!send(to.primed
                        ? "id: " + to.stream->id_of(state->position) + "\n" + retry + "data: \n\n"
                        : ": open\n\n"))
            return false;
        }
        EventStream::Event event;
        switch (to.stream->next(to.reader, state->position, event, kLookInterval)) {
          case EventStream::Got::event:
            state->position = event.number;
            return send(as_event(to.stream->resumable() ? to.stream->id_of(event.number) : "",
                                 event.message));
          case EventStream::Got::finished:
          case EventStream::Got::hung_up: sink.done(); return true;
          case EventStream::Got::nothing: break;
        }
        if (!sink.is_writable()) return false;  // the client is gone; below is what follows
        if (Steady::now() - state->last_sent < kKeepAlive) return true;
        if (to.session) to.session->touch();
        return send(": still here\n\n");
      },
      [this, state](bool success) {
        // However the stream broke: in the era without sessions that cancels the call.
        if (!success && !state->reply.key.empty()) service_.calls().cancel(state->reply.key);
      });
}

// ---- GET and DELETE

void Endpoint::get(const httplib::Request& http, httplib::Response& response) {
  const auto version = header_of(http, kVersionHeader);
  if (version == std::string(kStatelessRevision)) {
    response.set_header("Allow", "POST");
    return refuse(response, 405, "revision 2026-07-28 has no GET; use subscriptions/listen");
  }
  if (!accepts(http, kEventsType))
    return refuse(response, 406, "Accept: expected text/event-stream");
  if (closing_) return refuse(response, 503, "the server is closing", kInternalError);
  auto session = session_of(http, response);
  if (!session) return;
  Reply reply;
  reply.stream = session->news();
  std::uint64_t position = 0;
  if (const auto last = header_of(http, "Last-Event-ID")) {
    reply.stream = session->find_stream(*last, position);
    if (!reply.stream) {
      return refuse(response, 400,
                    "Last-Event-ID: not known, or too old; what it belonged to is lost");
    }
  }
  reply.connection = http.get_header_value(kConnectionHeader);
  reply.reader = reply.stream->begin_reading();
  reply.primed = session->session().revision() == kPrimedRevision;
  reply.session = std::move(session);
  stream(response, std::move(reply), position);
}

void Endpoint::remove(const httplib::Request& http, httplib::Response& response) {
  const auto session = session_of(http, response);
  if (!session) return;
  sessions_.end(session->id());
  response.status = 204;
}

}  // namespace rgt::mcp
