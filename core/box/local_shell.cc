// SPDX-License-Identifier: MIT
#include "core/box/local_shell.h"

#include "core/base/digest.h"
#include "core/box/bootstrap.h"

namespace rgt {
namespace {

constexpr std::size_t kErrorLimit = 65536;  // bytes of stderr kept, as over SSH

}  // namespace

Result<ScriptOutcome> LocalShell::run(const ScriptCall& call, std::stop_token stop) {
  ProcessSpec spec;
  spec.argv = {"/bin/sh", "-c", std::string(kBootstrap)};
  const std::string nonce = random_hex(8);
  spec.input = bootstrap_stdin(call, nonce);
  spec.total_timeout = call.total_timeout;
  spec.idle_timeout = call.idle_timeout;
  spec.output_limit = call.output_limit;
  auto done = processes_.run(spec, stop);
  if (!done) return done.error();
  switch (done->end) {
    case ProcessEnd::idle_timed_out:
      return Error{Code::timeout,
                   "a script on this machine printed nothing for " +
                       to_words(std::chrono::ceil<Seconds>(call.idle_timeout)),
                   "look for a hanging disk or GPU (df, nvidia-smi), then call again"};
    case ProcessEnd::timed_out:
      return Error{Code::timeout,
                   "a script on this machine did not end within " +
                       to_words(std::chrono::duration_cast<Seconds>(call.total_timeout)),
                   "look for a hanging disk or GPU (df, nvidia-smi), then call again"};
    case ProcessEnd::cancelled:
      return Error{Code::cancelled, "stopped while a script ran", "call again"};
    case ProcessEnd::exited:
    case ProcessEnd::signalled: break;
  }
  ScriptOutcome outcome;
  outcome.exit_code = done->end == ProcessEnd::signalled ? 128 + done->signal : done->exit_code;
  outcome.out = std::move(done->out);
  outcome.err = std::move(done->err);
  if (outcome.err.size() > kErrorLimit) outcome.err.resize(kErrorLimit);
  outcome.truncated = done->truncated;
  outcome.bytes_sent = done->bytes_sent;
  outcome.bytes_received = done->bytes_received;
  if (auto cut = cut_to_answer(outcome, nonce, "this machine"); !cut) return cut.error();
  return outcome;
}

}  // namespace rgt
