// SPDX-License-Identifier: MIT
// Which facts of the handbook have not been compared with their sources for long: every
// "verified YYYY-MM" in prose and `verified: "YYYY-MM"` in frontmatter. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/handbook/handbook.h"

namespace rgt {

struct Stamp {
  std::string document = {};  // path
  std::size_t line = 0;       // from 1
  std::string entry = {};     // id of the entry it stands in; empty outside of one
  std::string month = {};     // "2026-06"
  int age_months = 0;         // whole calendar months; negative: in the future, a mistake
};

std::vector<Stamp> stamps_of(const Document& document, Time now);

struct Freshness {
  std::size_t stamps = 0;
  std::vector<Stamp> stale = {};  // older than asked, or in the future; oldest first
};
Freshness check_freshness(const std::vector<Document>& documents, Time now, int max_age_months);

}  // namespace rgt
