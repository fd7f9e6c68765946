// SPDX-License-Identifier: MIT
#include "core/box/ssh_config.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <vector>

#include "core/base/text.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxInterval = 86400;  // seconds; ssh takes any number, a day is never asked
constexpr std::int64_t kMaxCount = 1000;

std::string variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

std::optional<std::string> token_value(char token, const SshTarget& target) {
  switch (token) {
    case '%': return "%";
    case 'd': return variable("HOME");
    case 'h': return target.host;
    case 'k': return target.host_key_alias.empty() ? target.host : target.host_key_alias;
    case 'n': return target.alias;
    case 'p': return target.port;
    case 'r': return target.user;
    case 'u': return variable("USER").empty() ? target.user : variable("USER");
    default: return std::nullopt;
  }
}

// The %-tokens of ssh_config(5) that name the box or its user, ${NAME}, and a leading "~/".
Result<std::string> expand(std::string_view text, const SshTarget& target) {
  std::string out;
  if (text.starts_with("~/")) {
    out = variable("HOME");
    text.remove_prefix(1);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t end = text.find('}', i);
    if (text.substr(i, 2) == "${" && end != std::string_view::npos) {
      out += variable(std::string(text.substr(i + 2, end - i - 2)));
      i = end;
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const auto value = token_value(i + 1 < text.size() ? text[++i] : ' ', target);
      if (!value) {
        return Error{Code::invalid_argument,
                     "the ssh configuration of " + target.alias +
                         " uses a token that is not known "
                         "here: " +
                         clean_line(text, 200),
                     "use only %% %d %h %k %n %p %r %u"};
      }
      out += *value;
    }
  }
  return out;
}

// `ssh -G` prints a list of files between spaces and does not quote the spaces in their names: the
// longest run of words that is a file is one.
std::vector<std::string> file_list(std::string_view text) {
  const auto words = split(text, ' ');
  std::vector<std::string> files;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string file(words[i]);
    std::string longer = file;
    for (std::size_t j = i + 1; j < words.size(); ++j) {
      longer += " " + std::string(words[j]);
      std::error_code ignored;
      if (!fs::exists(longer, ignored)) continue;
      file = longer;
      i = j;
    }
    if (file != "none" && !file.empty()) files.push_back(std::move(file));
  }
  return files;
}

std::string agent_socket(std::string_view configured) {
  if (configured.empty() || configured == "SSH_AUTH_SOCK") return variable("SSH_AUTH_SOCK");
  if (configured == "none") return "";
  if (configured[0] == '$') return variable(std::string(configured.substr(1)));
  return std::string(configured);
}

// What is made of one "key value" line of the answer.
void take(SshTarget& target, const std::string& key, std::string_view value, std::string& agent) {
  const std::string text(value);
  if (key == "hostname") target.host = text;
  if (key == "port") target.port = text;
  if (key == "user") target.user = text;
  if (key == "hostkeyalias") target.host_key_alias = text;
  if (key == "identityfile") target.identity_files.push_back(text);
  if (key == "identitiesonly") target.identities_only = value == "yes";
  if (key == "identityagent") agent = text;
  if (key == "proxycommand" && value != "none") target.proxy_command = text;
  if (key == "proxyjump" && value != "none") target.proxy_jump = text;
  if (key == "bindaddress") target.bind_address = text;
  if (key == "addressfamily") target.address_family = text;
  if (key == "revokedhostkeys" && value != "none") target.revoked_host_keys = text;
  if (key == "compression") target.compression = value == "yes";
  const auto number = parse_int(value).value_or(0);
  if (key == "serveraliveinterval" && number > 0)
    target.alive_interval = Seconds(std::min(number, kMaxInterval));
  if (key == "serveralivecountmax" && number > 0)
    target.alive_count_max = static_cast<int>(std::min(number, kMaxCount));
  if (key == "userknownhostsfile" || key == "globalknownhostsfile") {
    for (std::string& file : file_list(value)) target.known_hosts_files.push_back(std::move(file));
  }
  if (key == "ciphers" || key == "macs" || key == "kexalgorithms" || key == "hostkeyalgorithms" ||
      key == "pubkeyacceptedalgorithms") {
    target.lists[key] = text;
  }
}

}  // namespace

std::string ssh_command(const std::string& alias, const SshSettings& settings) {
  return settings.config_file.empty() ? "ssh " + alias
                                      : "ssh -F " + settings.config_file.string() + " " + alias;
}

Result<SshTarget> parse_ssh_target(const std::string& alias, std::string_view answer) {
  SshTarget target;
  target.alias = alias;
  std::string agent;
  for (const std::string_view line : split(answer, '\n')) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    take(target, to_lower(line.substr(0, space)), trim(line.substr(space + 1)), agent);
  }
  if (target.host.empty() || target.user.empty()) {
    return Error{Code::invalid_argument, "`ssh -G " + alias + "` named no host and user",
                 "check the ssh configuration"};
  }
  for (std::string* path : {&agent, &target.proxy_command}) {
    auto expanded = expand(*path, target);
    if (!expanded) return expanded.error();
    *path = std::move(*expanded);
  }
  for (std::string& file : target.identity_files) {
    auto expanded = expand(file, target);
    if (!expanded) return expanded.error();
    file = std::move(*expanded);
  }
  target.identity_agent = agent_socket(agent);
  return target;
}

Result<SshTarget> read_ssh_target(const std::string& alias, const SshSettings& settings,
                                  ProcessRunner& processes, const Patience& patience) {
  ProcessSpec spec;
  spec.argv = {"ssh", "-G"};
  if (!settings.config_file.empty()) {
    spec.argv.insert(spec.argv.end(), {"-F", settings.config_file.string()});
  }
  spec.argv.push_back(alias);
  spec.total_timeout = patience.left();
  auto done = processes.run(spec, patience.stop);
  if (!done) return done.error();
  if (done->end == ProcessEnd::cancelled)
    return Error{Code::cancelled, "stopped while the ssh configuration was read", "call again"};
  if (done->end != ProcessEnd::exited) {
    return Error{Code::timeout, "the ssh configuration of " + alias + " was not read in time",
                 "look for a hanging `Match exec` in it"};
  }
  if (done->exit_code == 0) return parse_ssh_target(alias, done->out);
  return Error{Code::invalid_argument,
               "ssh cannot use its configuration" +
                   (settings.config_file.empty() ? "" : " " + settings.config_file.string()) +
                   ": " + clean_line(done->err, 200),
               settings.config_file.empty() ? "mend ~/.ssh/config" : "check RGT_SSH_CONFIG"};
}

std::vector<std::string> proxy_arguments(const SshTarget& target, const SshSettings& settings) {
  if (!target.proxy_command.empty()) return {"/bin/sh", "-c", "exec " + target.proxy_command};
  if (target.proxy_jump.empty()) return {};
  // "a,b": to b by way of a. BatchMode: nobody is there to answer a question.
  const std::size_t comma = target.proxy_jump.rfind(',');
  std::string last = target.proxy_jump.substr(comma == std::string::npos ? 0 : comma + 1);
  if (!last.starts_with("ssh://")) last = "ssh://" + last;
  const auto seconds = std::chrono::ceil<Seconds>(settings.connect_timeout).count();
  std::vector<std::string> argv{"ssh",
                                "-o",
                                "BatchMode=yes",
                                "-o",
                                "StrictHostKeyChecking=yes",
                                "-o",
                                "ConnectTimeout=" + std::to_string(seconds)};
  if (!settings.config_file.empty()) argv.insert(argv.end(), {"-F", settings.config_file.string()});
  if (comma != std::string::npos)
    argv.insert(argv.end(), {"-J", target.proxy_jump.substr(0, comma)});
  const bool is_v6 = target.host.find(':') != std::string::npos;
  argv.insert(argv.end(),
              {"-W", (is_v6 ? "[" + target.host + "]" : target.host) + ":" + target.port, last});
  return argv;
}

Time last_mended(const SshTarget& target, const SshSettings& settings) {
  std::vector<std::filesystem::path> files(target.identity_files.begin(),
                                           target.identity_files.end());
  files.insert(files.end(), target.known_hosts_files.begin(), target.known_hosts_files.end());
  files.push_back(settings.config_file.empty() ? variable("HOME") + "/.ssh/config"
                                               : settings.config_file.string());
  Time newest = {};
  for (const std::filesystem::path& file : files) {
    struct stat facts = {};
    if (::stat(file.c_str(), &facts) != 0) continue;
    newest = std::max(newest, Time(Seconds(facts.st_mtim.tv_sec)) +
                                  Milliseconds(facts.st_mtim.tv_nsec / 1'000'000));
  }
  return newest;
}

}  // namespace rgt
