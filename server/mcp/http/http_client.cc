// SPDX-License-Identifier: MIT
#include "server/mcp/http/http_client.h"

#include <httplib.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "server/mcp/wire.h"

namespace rgt::mcp {
namespace {

// A call may ask again after each answer; more rounds than this is a server that goes in circles.
constexpr int kRounds = 10;

Json meta() {
  return {{kMetaVersion, kStatelessRevision},
          {kMetaClient, {{"name", "rgt-eval"}, {"version", RGT_VERSION}}},
          {kMetaCapabilities, {{"elicitation", {{"form", Json::object()}}}}}};
}

// The response with this id in a body that is one JSON object, or a stream of events.
Result<Json> response_in(const std::string& body, bool events, std::int64_t id) {
  for (const std::string_view line : split(body, events ? '\n' : '\0')) {
    if (events && !line.starts_with("data:")) continue;
    const Json message = Json::parse(trim(events ? line.substr(5) : line), nullptr, false);
    if (!message.is_object() || message.value("id", Json(nullptr)) != id) continue;
    if (message.contains("result")) return message["result"];
    return Error{Code::remote_failed, message.value("error", Json::object()).dump(),
                 "see the error's code"};
  }
  return Error{Code::corrupt, "no response in: " + clean_line(body, 200), "is it an MCP server?"};
}

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::to(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  const std::size_t slash = url.find('/', kScheme.size());
  if (!url.starts_with(kScheme) || slash == std::string::npos)
    return Error{Code::invalid_argument, "no URL of a server: " + clean_line(url, 120),
                 "for instance http://127.0.0.1:8722/mcp"};
  auto http = std::make_unique<httplib::Client>(url.substr(0, slash));
  http->set_keep_alive(true);
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(http), url.substr(slash)));
}

HttpClient::HttpClient(std::unique_ptr<httplib::Client> http, std::string path)
    : http_(std::move(http)), path_(std::move(path)) {}
HttpClient::~HttpClient() = default;

Result<Json> HttpClient::post(const std::string& method, const Json& params, Seconds patience) {
  const std::int64_t id = next_id_++;
  httplib::Headers headers{{"Accept", "application/json, text/event-stream"},
                           {"MCP-Protocol-Version", std::string(kStatelessRevision)},
                           {"Mcp-Method", method}};
  if (params.contains("name")) headers.emplace("Mcp-Name", params["name"].get<std::string>());
  http_->set_read_timeout(patience);
  const Json message{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
  const auto answer = http_->Post(path_, headers, message.dump(), "application/json");
  if (!answer)
    return Error{Code::unreachable, "no answer: " + httplib::to_string(answer.error()),
                 "is the server running, and is this its URL?"};
  const bool events = answer->get_header_value("Content-Type").starts_with("text/event-stream");
  return response_in(answer->body, events, id);
}

// One answer for each form that the server wants to show.
Json HttpClient::answers(const Json& questions) {
  Json given = Json::object();
  for (const auto& [key, question] : questions.items()) {
    forms_.push_back(question.value("params", Json::object()));
    given[key] = form_answer_;
  }
  return given;
}

Result<Json> HttpClient::request(const std::string& method, const Json& params, Seconds patience) {
  Json asked = params;
  asked["_meta"] = meta();
  for (int round = 0; round < kRounds; ++round) {
    auto result = post(method, asked, patience);
    if (!result || result->value("resultType", "") != "input_required") return result;
    asked["inputResponses"] = answers(result->value("inputRequests", Json::object()));
    if (result->contains("requestState")) asked["requestState"] = (*result)["requestState"];
  }
  return Error{Code::limit, "the server asks the user again and again", "look at its log"};
}

}  // namespace rgt::mcp
