// SPDX-License-Identifier: MIT
#include "core/box/ssh_redial.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/base/digest.h"
#include "core/base/file_lock.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace rgt {
namespace {

struct Schedule {
  Milliseconds first;
  Milliseconds longest;
};
// First a blip, or a person who tries again at once; never longer than the patrol's soonest tick.
constexpr Schedule kUsual{Seconds(1), Seconds(300)};
// fail2ban's default bans an address after 5 refusals within 10 minutes.
constexpr Schedule kRefusedKeys{Seconds(120), Seconds(600)};
constexpr int kMostFailures = 1000;         // counted no further
constexpr std::uint64_t kPageLimit = 4096;  // bytes: one line of numbers, one of words
constexpr std::size_t kWordsLimit = 200;    // bytes of the last failure's message

constexpr std::array kCounted{Code::unreachable, Code::auth_failed, Code::host_key_unknown,
                              Code::host_key_changed};

std::optional<Code> counted(std::string_view name) {
  for (const Code code : kCounted) {
    if (code_name(code) == name) return code;
  }
  return std::nullopt;
}

// Doubles from the first wait on; half of it is certain, the other half is chance.
Milliseconds wait_after(int failures, Code code, double chance) {
  const Schedule& schedule = code == Code::auth_failed ? kRefusedKeys : kUsual;
  Milliseconds wait = schedule.first;
  for (int i = 1; i < failures && wait < schedule.longest; ++i) wait *= 2;
  wait = std::min(wait, schedule.longest);
  return wait / 2 + Milliseconds(static_cast<std::int64_t>(static_cast<double>(wait.count()) / 2 *
                                                           std::clamp(chance, 0.0, 1.0)));
}

}  // namespace

// "1 FAILURES LAST NEXT CODE" in milliseconds since 1970, and a line with the failure's words.
struct RedialBook::Page {
  int failures = 0;  // in a row; 0: nothing is known
  Time last = {};
  Time next = {};
  Code code = Code::unreachable;
  std::string words = {};

  std::string text() const {
    return "1 " + std::to_string(failures) + " " + std::to_string(last.time_since_epoch().count()) +
           " " + std::to_string(next.time_since_epoch().count()) + " " +
           std::string(code_name(code)) + "\n" + words + "\n";
  }
};

RedialBook::RedialBook(std::filesystem::path folder, const Clock& clock,
                       std::function<double()> chance)
    : folder_(std::move(folder)), clock_(clock), chance_(std::move(chance)) {}

// By digest: a host name may hold anything.
std::filesystem::path RedialBook::file_of(const std::string& address) const {
  return folder_ / sha256_hex(address).substr(0, 32);
}

// What cannot be right, also because the clock was moved since, is as if nothing had been.
RedialBook::Page RedialBook::read(const std::string& address, Time now) const {
  const auto text = read_file(file_of(address), kPageLimit);
  if (!text) return {};
  const auto lines = split(*text, '\n');
  const auto words = split(lines[0], ' ');
  if (lines.size() < 2 || words.size() != 5 || words[0] != "1") return {};
  const auto failures = parse_int(words[1]);
  const auto last = parse_int(words[2]);
  const auto next = parse_int(words[3]);
  const auto code = counted(words[4]);
  if (!failures || !last || !next || !code || *failures < 1 || *failures > kMostFailures) return {};
  Page page{static_cast<int>(*failures), Time(Milliseconds(*last)), Time(Milliseconds(*next)),
            *code, clean_line(lines[1], kWordsLimit)};
  if (page.last > now || page.next - page.last > kRefusedKeys.longest || page.next < page.last)
    return {};
  return page;
}

Result<void> RedialBook::may_dial(const std::string& address, const std::string& box,
                                  Time mended) const {
  const Time now = clock_.now();
  const Page page = read(address, now);
  if (page.failures == 0 || now >= page.next || mended > page.last) return {};
  const auto left = std::chrono::ceil<Seconds>(page.next - now);
  return Error{page.code,
               box + " was not dialled: " + std::to_string(page.failures) +
                   (page.failures == 1 ? " try" : " tries in a row") + " failed, the last " +
                   to_words(std::chrono::floor<Seconds>(now - page.last)) + " ago (" + page.words +
                   "); the next try is allowed at " +
                   to_iso8601(std::chrono::ceil<Seconds>(page.next)) + ", in " + to_words(left),
               "mend the cause and call again then (a change of the ssh configuration, a key or "
               "known_hosts is tried at once); knocking more often gets an address banned"};
}

void RedialBook::failed(const std::string& address, const Error& why) {
  if (!counted(code_name(why.code))) return;
  // Another process that writes at this moment writes of the same failing box: its page will do.
  const auto lock = FileLock::try_take(file_of(address).string() + ".lock");
  if (!lock) return;
  const Time now = clock_.now();
  Page page = read(address, now);
  page.failures = std::min(page.failures + 1, kMostFailures);
  page.last = now;
  page.code = why.code;
  page.next = now + wait_after(page.failures, why.code, chance_());
  page.words = clean_line(why.message, kWordsLimit);
  if (auto saved = write_file_atomically(file_of(address), page.text()); !saved)
    log::warn("cannot note a failed connection: " + saved.error().message);
}

void RedialBook::reached(const std::string& address) {
  std::error_code ignored;
  std::filesystem::remove(file_of(address), ignored);
}

}  // namespace rgt
