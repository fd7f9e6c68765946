// SPDX-License-Identifier: MIT
// Any bytes on a connection: requests one after another through HTTP, the guard, both eras and a
// small server's tools. What comes back is HTTP, and no call is left running.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/base/result.h"
#include "server/mcp/http/http_server.h"
#include "server/mcp/tool_adapter.h"
#include "tests/server/mcp/sample_library.h"

namespace {

using namespace rgt;
using namespace rgt::mcp;

class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string in) : in_(std::move(in)) {}
  bool is_readable() const override { return at_ < in_.size(); }
  // Hangs up when it has nothing more to say, as soon as somebody looks.
  bool is_writable() const override { return is_readable(); }
  ssize_t read(char* bytes, std::size_t size) override {
    const std::size_t count = std::min(size, in_.size() - at_);
    std::memcpy(bytes, in_.data() + at_, count);
    at_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* bytes, std::size_t size) override {
    out.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }
  std::string out = {};

 private:
  const std::string in_;
  std::size_t at_ = 0;
};

ServedTool echo() {
  ServedTool tool;
  const Json schema{{"type", "object"},
                    {"properties", {{"text", {{"type", "string"}, {"x-mcp-header", "Text"}}}}}};
  tool.card = {{"name", "echo"}, {"description", "says it again"}, {"inputSchema", schema}};
  tool.input = std::make_shared<const Schema>(schema);
  tool.tasks = ServedTool::Tasks::allowed;
  tool.run = [](const Json& arguments, Context& context) -> Outcome {
    context.progress(1, 2, "half way");
    return Json{{"content", Json::array({{{"type", "text"}, {"text", arguments.dump()}}})}};
  };
  return tool;
}

struct Server {
  SystemClock clock = {};
  SampleLibrary library = {};
  Changes changes = {};
  ToolSet tools{{echo()}};
  Service service{{{"fuzz", "Fuzz", "1"}, tools, library, changes, true}, clock, {}};
  std::unique_ptr<HttpServer> http = HttpServer::bind(service, {}).value();
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Server& server = *new Server();  // for the whole run: threads must not outlive statics
  MemoryStream stream({reinterpret_cast<const char*>(data), size});
  for (int requests = 0; requests < 16 && stream.is_readable(); ++requests) {
    if (!server.http->process(stream)) break;
  }
  require(stream.out.empty() || stream.out.starts_with("HTTP/1.1 "), "the answer is not HTTP");
  server.service.calls().cancel_all("post/");
  server.service.calls().wait_idle();
  return 0;
}
