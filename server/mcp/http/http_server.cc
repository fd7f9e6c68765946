// SPDX-License-Identifier: MIT
#include "server/mcp/http/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/text.h"
#include "core/base/workers.h"

namespace rgt::mcp {
namespace {

// As for stdio: quick calls are answered, and whoever wants us gone need not kill us.
constexpr Milliseconds kLastAnswers(3000);
constexpr Milliseconds kLastWrites(2000);
constexpr int kWaitingConnections = 1024;  // accepted by the kernel, not yet by us
constexpr const char* kPath = "/mcp";

// httplib hands every accepted socket to this queue. A thread each; when all are taken, the client
// that has kept us waiting longest makes room.
class ConnectionQueue final : public httplib::TaskQueue {
 public:
  ConnectionQueue(Connections& connections, std::size_t most, std::function<void()> on_idle)
      : connections_(connections), workers_(most), on_idle_(std::move(on_idle)) {}

  void enqueue(std::function<void()> work) override {
    while (!workers_.run(work)) {
      connections_.evict_slowest();
      workers_.wait_for_room(Milliseconds(100));
    }
  }
  void shutdown() override {
    connections_.shut_down_all();
    connections_.wait_empty(Seconds(60));
  }
  void on_idle() override { on_idle_(); }

 private:
  Connections& connections_;
  Workers workers_;
  const std::function<void()> on_idle_;
};

bool is_json(const httplib::Request& request) {
  const std::string type = to_lower(request.get_header_value("Content-Type"));
  return trim(std::string_view(type).substr(0, type.find(';'))) == "application/json";
}

// A body whose length two readers could understand differently is not read at all.
bool is_framed(const httplib::Request& request) {
  const std::size_t lengths = request.get_header_value_count("Content-Length");
  const std::size_t encodings = request.get_header_value_count("Transfer-Encoding");
  if (lengths + encodings != 1) return false;
  if (encodings == 1) return to_lower(request.get_header_value("Transfer-Encoding")) == "chunked";
  return parse_uint(request.get_header_value("Content-Length")).has_value();
}

}  // namespace

class HttpServer::Listener final : public httplib::Server {
 public:
  Listener(Service& service, HttpOptions options, Guard guard)
      : service_(service),
        options_(std::move(options)),
        guard_(std::move(guard)),
        endpoint_(service, connections_, options_.endpoint) {
    new_task_queue = [this] {
      return new ConnectionQueue(connections_, options_.connections,
                                 [this] { endpoint_.expire_sessions(); });
    };
    // Not SO_REUSEPORT, httplib's default: a second server on our port must fail, not share it.
    set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    set_payload_max_length(options_.endpoint.body + 1);
    set_idle_interval(Seconds(1));
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      return let_in(request, response) ? HandlerResponse::Unhandled : HandlerResponse::Handled;
    });
    Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("{\"status\":\"ok\"}", "application/json");
    });
    Post(kPath,
         [this](const httplib::Request& request, httplib::Response& response,
                const httplib::ContentReader& read) { endpoint_.post(request, response, read); });
    Get(kPath, [this](const httplib::Request& request, httplib::Response& response) {
      endpoint_.get(request, response);
    });
    Delete(kPath, [this](const httplib::Request& request, httplib::Response& response) {
      endpoint_.remove(request, response);
    });
  }

  Result<void> bind() {
    GuardOptions& at = options_.guard;
    const bool bound = at.port == 0 ? (port_ = bind_to_any_port(at.address)) > 0
                                    : bind_to_port(at.address, port_ = at.port);
    // httplib listens with a queue of 5: beyond it the kernel drops connections, and their clients
    // try again a second later.
    if (bound && ::listen(svr_sock_, kWaitingConnections) == 0) return {};
    return Error{Code::io,
                 "cannot bind " + at.address + ":" + std::to_string(at.port) +
                     " (is it taken, or not an address of this machine?)",
                 "choose another port, or 0 for any free one"};
  }

  void serve(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any ended;
    bool broken = false;
    std::thread accepting([&] {
      listen_after_bind();
      const std::scoped_lock lock(mutex);
      broken = true;
      ended.notify_all();
    });
    {
      std::unique_lock lock(mutex);
      ended.wait(lock, stop, [&] { return broken; });
    }
    Calls& calls = service_.calls();
    endpoint_.stop_accepting();
    connections_.shut_down_waiting();
    calls.wait_idle(kLastAnswers);
    calls.stop_all();
    calls.wait_idle();
    endpoint_.close_sessions();
    // A connection whose last response has been read waits for a request that will not come.
    const auto until = std::chrono::steady_clock::now() + kLastWrites;
    while (!connections_.wait_empty(Milliseconds(20)) && std::chrono::steady_clock::now() < until)
      connections_.shut_down_waiting();
    httplib::Server::stop();
    accepting.join();
  }

  bool process(httplib::Stream& stream) { return one_request(stream, nullptr, ""); }
  int port() const { return port_; }
  void set_guard(Guard guard) { guard_ = std::move(guard); }

 private:
  // In httplib's place: its own loop gives a slow client as long as it likes.
  bool process_and_close_socket(socket_t socket) override {
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    Connection connection(socket, options_.connection);
    const Connections::Entry entry(connections_, connection);
    while (connection.wait_for_request()) {
      if (!one_request(connection, &connection, entry.number())) break;
    }
    return true;
  }

  // False: nothing can follow on this stream.
  bool one_request(httplib::Stream& stream, Connection* connection, const std::string& number) {
    bool closed = false;
    bool understood = false;
    const bool answered = process_request(stream, false, closed, [&](httplib::Request& request) {
      understood = true;
      if (connection != nullptr) connection->begin_work();
      request.headers.erase("Accept-Encoding");  // compressing costs more than loopback
      request.headers.erase("Range");
      request.ranges.clear();
      request.headers.erase(kConnectionHeader);
      request.set_header(kConnectionHeader, number);
    });
    const bool must_close = connection != nullptr && connection->must_close();
    if (!understood && connection != nullptr) connection->close_after();
    return answered && understood && !closed && !must_close;
  }

  // False: `response` says why not.
  bool let_in(const httplib::Request& request, httplib::Response& response) {
    const auto reject = [&](int status, const std::string& why) {
      // The body, if there is one, is left unread.
      const std::string number = request.get_header_value(kConnectionHeader);
      if (Connection* connection = connections_.find(number)) connection->close_after();
      response.set_header("Connection", "close");
      refuse(response, status, why);
      return false;
    };
    const auto origin = request.has_header("Origin")
                            ? std::optional(request.get_header_value("Origin"))
                            : std::nullopt;
    if (const auto no = guard_.check_caller(request.get_header_value("Host"), origin))
      return reject(no->status, no->message);
    if (request.path == "/healthz" && request.method == "GET") return true;
    if (const auto no = guard_.check_token(request.get_header_value("Authorization"))) {
      response.set_header("WWW-Authenticate", "Bearer");
      return reject(no->status, no->message);
    }
    if (request.path != kPath) return reject(404, "nothing here; MCP is at /mcp");
    if (request.method == "GET" || request.method == "DELETE") {
      const bool has_body =
          request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
      if (has_body && request.get_header_value("Content-Length") != "0")
        return reject(400, request.method + " takes no body");
      return true;
    }
    if (request.method != "POST") {
      response.set_header("Allow", "GET, POST, DELETE");
      return reject(405, "expected POST, GET or DELETE");
    }
    if (!is_framed(request))
      return reject(411, "expected one Content-Length, or Transfer-Encoding: chunked");
    // Told now, not after the body was read and thrown away.
    if (parse_uint(request.get_header_value("Content-Length")).value_or(0) > options_.endpoint.body)
      return reject(413, "the body is longer than this server reads (4 MiB)");
    if (!is_json(request)) return reject(415, "Content-Type: expected application/json");
    if (request.has_header("Content-Encoding"))
      return reject(415, "Content-Encoding: send the body as it is");
    return true;
  }

  Service& service_;
  HttpOptions options_;
  Guard guard_;
  int port_ = 0;
  Connections connections_ = {};
  Endpoint endpoint_;
};

HttpServer::HttpServer(std::unique_ptr<Listener> listener) : listener_(std::move(listener)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::bind(Service& service, HttpOptions options) {
  auto guard = Guard::make(options.guard);
  if (!guard) return guard.error();
  auto listener = std::make_unique<Listener>(service, options, std::move(*guard));
  if (auto bound = listener->bind(); !bound) return bound.error();
  options.guard.port = listener->port();  // the guard must know the port that was chosen
  listener->set_guard(Guard::make(options.guard).value());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(listener)));
}

int HttpServer::port() const { return listener_->port(); }
void HttpServer::serve(std::stop_token stop) { listener_->serve(std::move(stop)); }
bool HttpServer::process(httplib::Stream& stream) { return listener_->process(stream); }

}  // namespace rgt::mcp
