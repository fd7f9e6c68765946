// SPDX-License-Identifier: MIT
#include "core/handbook/freshness.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::string_view kWord = "verified";

// Months since the year 0; nullopt if `text` does not begin with a month such as 2026-06.
std::optional<int> month_number(std::string_view text) {
  if (text.size() < 7 || text[4] != '-') return std::nullopt;
  const auto year = parse_uint(text.substr(0, 4));
  const auto month = parse_uint(text.substr(5, 2));
  if (!year || !month || *year < 1000 || *month < 1 || *month > 12) return std::nullopt;
  return static_cast<int>(*year * 12 + *month - 1);
}

int this_month(Time now) { return month_number(to_iso8601(now)).value_or(0); }

}  // namespace

std::vector<Stamp> stamps_of(const Document& document, Time now) {
  std::vector<Stamp> stamps;
  std::string entry;
  std::size_t number = 0;
  for (const std::string_view line : split(document.text, '\n')) {
    ++number;
    if (line.starts_with("## ")) entry.clear();
    if (line.starts_with("### ")) entry = line.substr(4, line.find(' ', 4) - 4);
    for (std::size_t at = line.find(kWord); at != std::string_view::npos;
         at = line.find(kWord, at + kWord.size())) {
      std::string_view rest = line.substr(at + kWord.size());
      while (!rest.empty() && (rest[0] == ' ' || rest[0] == ':' || rest[0] == '"'))
        rest.remove_prefix(1);
      const auto month = month_number(rest);
      if (!month) continue;
      stamps.push_back(
          {document.path, number, entry, std::string(rest.substr(0, 7)), this_month(now) - *month});
    }
  }
  return stamps;
}

Freshness check_freshness(const std::vector<Document>& documents, Time now, int max_age_months) {
  Freshness freshness;
  for (const Document& document : documents) {
    for (Stamp& stamp : stamps_of(document, now)) {
      ++freshness.stamps;
      if (stamp.age_months > max_age_months || stamp.age_months < 0)
        freshness.stale.push_back(std::move(stamp));
    }
  }
  std::stable_sort(freshness.stale.begin(), freshness.stale.end(),
                   [](const Stamp& a, const Stamp& b) { return a.month < b.month; });
  return freshness;
}

}  // namespace rgt
