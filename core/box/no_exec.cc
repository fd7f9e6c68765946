// SPDX-License-Identifier: MIT
#include "core/box/no_exec.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::size_t kWordsLimit = 300;  // bytes of the account's words in a message

struct Sign {
  std::string_view words;  // in lower case
  std::string_view meaning;
  std::string_view fix;
};

constexpr std::string_view kDirectAddress =
    "use the direct address and port that the platform shows for this box (RunPod: console, "
    "Connect, SSH over exposed TCP; handbook entry RP6), and put HostName and Port into the ssh "
    "configuration";

// The words of the programs that print them: RunPod's proxy, nologin(8), sshd's internal-sftp, the
// command that cloud images set for root, git-shell.
constexpr std::array<Sign, 8> kSigns{{
    {"doesn't support pty", "it is a proxied SSH that serves terminals only", kDirectAddress},
    {"must be run from a terminal", "it serves terminals only", kDirectAddress},
    {"not a tty", "it serves terminals only", kDirectAddress},
    {"stdin is not a terminal", "it serves terminals only", kDirectAddress},
    {"sftp connections only", "the account may only copy files", "use an account with a shell"},
    {"this account is currently not available", "the account is disabled (nologin)",
     "use an account with a shell: set User in the ssh configuration"},
    {"please login as the user", "the image wants another user",
     "set User in the ssh configuration to the name it tells"},
    {"interactive git shell", "the account serves git only", "use an account with a shell"},
}};

}  // namespace

Error no_exec(std::string_view box, std::string_view said, int exit_code) {
  const std::string words = clean_line(said, kWordsLimit);
  const std::string lower = to_lower(words);
  const auto* const sign = std::find_if(kSigns.begin(), kSigns.end(), [&](const Sign& one) {
    return lower.find(one.words) != std::string::npos;
  });
  std::string message = std::string(box) + " lets us in but did not run our script";
  if (sign != kSigns.end()) message += ": " + std::string(sign->meaning);
  message += words.empty() ? " (it said nothing" : " (it said: " + words;
  message += exit_code >= 0 ? "; exit " + std::to_string(exit_code) + ")" : ")";
  if (sign != kSigns.end()) return {Code::remote_failed, message, std::string(sign->fix)};
  std::string next =
      "try `ssh " + std::string(box) + " true` in a terminal: it must print nothing and exit 0";
  if (words.empty()) next += ". Otherwise " + std::string(kDirectAddress);
  return {Code::remote_failed, message, next};
}

}  // namespace rgt
