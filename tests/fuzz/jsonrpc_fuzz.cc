// SPDX-License-Identifier: MIT
// Any bytes as a message: what is a message is the same after we write it again, what is none gets
// an answer that is one; and what else reads a client's parameters stays calm.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "server/mcp/exchange.h"
#include "server/mcp/http/headers.h"
#include "server/mcp/jsonrpc.h"
#include "server/mcp/listening.h"
#include "server/mcp/request_state.h"

using rgt::require;
using namespace rgt::mcp;

namespace {

const Message& written_again(const std::string& text) {
  static std::variant<Message, Malformed> again;
  again = parse_message(text);
  require(std::holds_alternative<Message>(again), "what we write is no message");
  return std::get<Message>(again);
}

void check_request(const Request& request) {
  const Message& again = written_again(write_request(request.id, request.method, request.params));
  require(std::get<Request>(again).params == request.params, "the parameters changed");
  (void)read_envelope(request.params);
  (void)read_filter(request.params, true);
  (void)check_routing_headers(
      request, [&](const std::string&) { return std::optional<std::string>(request.method); });
  static const RequestState seal;
  const auto state = request.params.find("requestState");
  if (state != request.params.end() && state->is_string())
    require(!seal.open(state->get<std::string>(), "", {}).ok(), "a state that we never gave");
  Exchange exchange(request, {}, [](const std::string&) { return true; }, {},
                    {nullptr, rgt::Seconds(0), &seal, {}});
  (void)exchange.read_inputs(request);
  exchange.progress(1, 2, request.method);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)decode_header(std::string(text));
  const auto parsed = parse_message(text);
  if (const auto* malformed = std::get_if<Malformed>(&parsed)) {
    (void)written_again(write_error(malformed->id.value_or(0), malformed->error));
    return 0;
  }
  const Message& message = std::get<Message>(parsed);
  if (const auto* request = std::get_if<Request>(&message)) check_request(*request);
  if (const auto* note = std::get_if<Notification>(&message))
    (void)written_again(write_notification(note->method, note->params));
  if (const auto* response = std::get_if<Response>(&message))
    (void)written_again(write_outcome(response->id, response->outcome));
  return 0;
}
