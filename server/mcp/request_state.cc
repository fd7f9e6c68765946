// SPDX-License-Identifier: MIT
#include "server/mcp/request_state.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/text.h"

namespace rgt::mcp {

namespace {
const Error kNotOurs{Code::invalid_argument,
                     "params.requestState was not given by this server for this request",
                     "call again without requestState and inputResponses"};
}

RequestState::RequestState() : key_(random_hex(32)) {}

std::string RequestState::mac(const std::string& text) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  const void* done =
      ::HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data(), &size);
  require(done != nullptr, "HMAC-SHA256 is not available");
  return base64_encode({reinterpret_cast<const char*>(bytes.data()), size});
}

std::string RequestState::seal(const Json& state, const std::string& request, Time now) const {
  const Json whole{{"state", state},
                   {"request", sha256_hex(request)},
                   {"until", to_unix(now) + kLifetime.count()},
                   {"nonce", random_hex(8)}};
  const std::string body =
      base64_encode(whole.dump(-1, ' ', false, Json::error_handler_t::replace));
  return body + "." + mac(body);
}

Result<Json> RequestState::open(const std::string& sealed, const std::string& request,
                                Time now) const {
  const std::size_t dot = sealed.rfind('.');
  if (sealed.size() > kSizeLimit || dot == std::string::npos) return kNotOurs;
  const std::string body = sealed.substr(0, dot);
  if (!equal_constant_time(sealed.substr(dot + 1), mac(body))) return kNotOurs;
  const Json whole = Json::parse(base64_decode(body).value_or(""), nullptr, false);
  if (!whole.is_object() || whole["request"] != sha256_hex(request)) return kNotOurs;
  if (whole["until"].get<std::int64_t>() < to_unix(now)) {
    return Error{Code::timeout, "params.requestState is older than 15 minutes",
                 "call again without requestState and inputResponses"};
  }
  return whole["state"];
}

}  // namespace rgt::mcp
