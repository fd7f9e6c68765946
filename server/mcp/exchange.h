// SPDX-License-Identifier: MIT
// Exchange: one request on its way, as the code that answers it sees the client. It knows the two
// ways of the protocol's revisions to ask a client something, and hides them behind Context.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "server/mcp/context.h"
#include "server/mcp/jsonrpc.h"
#include "server/mcp/questions.h"
#include "server/mcp/request_state.h"

namespace rgt::mcp {

// `handshake`: revisions up to 2025-11-25, in which the client said once who it is.
// `stateless`: 2026-07-28, in which each request does.
enum class Era { handshake, stateless };

// Who asks, as far as this request is concerned.
struct Peer {
  Era era = Era::handshake;
  std::string name = {};
  Json capabilities = Json::object();
  std::optional<LogLevel> log_level = {};  // empty: wants no log messages
};

// The client of a request in the stateless era, from its `_meta`. kInvalidParams names what is
// missing; kUnsupportedVersion (with the list of ours) comes only after the rest is right.
std::variant<Peer, RpcError> read_envelope(const Json& params);

class Exchange final : public Context {
 public:
  // Sends one whole message that belongs to this request; false: the client is gone.
  using Send = std::function<bool(const std::string& message)>;
  // How this exchange can ask the client. Borrowed.
  struct Asking {
    Questions* questions = nullptr;      // handshake era
    Seconds patience = Seconds(0);       // for one answer; handshake era
    const RequestState* seal = nullptr;  // stateless era
    Time now = {};
  };

  Exchange(const Request& request, Peer peer, Send send, std::stop_token stop, Asking asking);

  std::stop_token stop() const override { return stop_; }
  const Json& client_capabilities() const override { return peer_.capabilities; }
  const std::string& client_name() const override { return peer_.name; }
  void progress(double progress, std::optional<double> total, const std::string& message) override;
  bool wants_progress() const override { return !progress_token_.is_null(); }
  void log(LogLevel level, const std::string& logger, const Json& data) override;
  Inputs ask(const std::vector<InputRequest>& requests) override;
  void release_stream() override {
    if (on_release) on_release();
  }

  Era era() const { return peer_.era; }
  const Json& id() const { return id_; }
  bool send(const std::string& message) { return send_(message); }
  Time now() const { return asking_.now; }

  // Stateless era. Before the work: reads inputResponses and requestState; an error ends the
  // request. After it: what the work asked for and is not there yet, as an input_required result,
  // or the error it met; else `outcome` itself.
  std::optional<RpcError> read_inputs(const Request& request);
  Outcome settle(Outcome outcome);

  // What release_stream does; set by a transport that can.
  std::function<void()> on_release = {};

 private:
  Inputs ask_and_wait(const std::vector<InputRequest>& requests);
  Inputs ask_by_replay(const std::vector<InputRequest>& requests);

  const Json id_;
  const Peer peer_;
  const Send send_;
  const std::stop_token stop_;
  const Asking asking_;
  Json progress_token_ = nullptr;

  std::mutex mutex_ = {};
  std::optional<double> last_progress_ = {};
  std::string bound_to_ = {};                 // what a state of this request is bound to
  std::map<std::string, Json> answers_ = {};  // by key, to questions of ours, of all rounds
  std::map<std::string, Json> unasked_ = {};  // by key, to what we have not asked yet
  Json used_ = Json::object();                // those that the work asked for
  Json wanted_ = Json::object();              // key -> {method, params}
  std::optional<RpcError> failure_ = {};
};

}  // namespace rgt::mcp
