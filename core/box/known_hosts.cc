// SPDX-License-Identifier: MIT
#include "core/box/known_hosts.h"

#include <algorithm>
#include <array>
#include <optional>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/base/text.h"

namespace rgt {
namespace {

bool matches_glob(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, retry = 0;
  while (n < name.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') {
      ++p, ++n;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

// "|1|salt|hash": HMAC-SHA1 of the name under the salt, both in base64.
bool matches_hash(std::string_view field, std::string_view name) {
  const auto parts = split(field, '|');
  if (parts.size() != 4 || parts[1] != "1") return false;
  const auto salt = base64_decode(parts[2]);
  const auto hash = base64_decode(parts[3]);
  if (!salt || !hash) return false;
  std::array<unsigned char, EVP_MAX_MD_SIZE> made{};
  unsigned size = 0;
  if (HMAC(EVP_sha1(), salt->data(), static_cast<int>(salt->size()),
           reinterpret_cast<const unsigned char*>(name.data()), name.size(), made.data(),
           &size) == nullptr) {
    return false;
  }
  return *hash == std::string_view(reinterpret_cast<const char*>(made.data()), size);
}

// "a,b*,!c": any of them, and none of the negated.
bool matches_names(std::string_view field, std::string_view name) {
  if (field.starts_with('|')) return matches_hash(field, name);
  bool matched = false;
  for (const std::string_view part : split(field, ',')) {
    const bool negated = part.starts_with('!');
    if (!matches_glob(to_lower(part.substr(negated ? 1 : 0)), name)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

std::string_view next_word(std::string_view& line) {
  line = trim(line);
  const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

std::optional<KnownHostKey> key_of_line(std::string_view line, std::string_view name) {
  std::string_view names = next_word(line);
  KnownHostKey key;
  if (names.starts_with('@')) {
    if (names != "@revoked") return std::nullopt;
    key.revoked = true;
    names = next_word(line);
  }
  if (names.empty() || names.starts_with('#') || !matches_names(names, name)) return std::nullopt;
  key.type = std::string(next_word(line));
  const auto blob = base64_decode(next_word(line));
  if (!blob || blob->empty()) return std::nullopt;
  key.blob = *blob;
  return key;
}

}  // namespace

std::vector<KnownHostKey> known_keys(std::string_view text, std::string_view name) {
  const std::string wanted = to_lower(name);
  std::vector<KnownHostKey> keys;
  for (const std::string_view line : split(text, '\n')) {
    if (auto key = key_of_line(line, wanted)) keys.push_back(std::move(*key));
  }
  return keys;
}

HostKeyVerdict judge_host_key(const std::vector<KnownHostKey>& keys, std::string_view blob) {
  const auto any = [&](bool revoked, bool same) {
    return std::any_of(keys.begin(), keys.end(), [&](const KnownHostKey& key) {
      return key.revoked == revoked && (!same || key.blob == blob);
    });
  };
  if (any(true, true)) return HostKeyVerdict::revoked;
  if (any(false, true)) return HostKeyVerdict::known;
  return any(false, false) ? HostKeyVerdict::changed : HostKeyVerdict::unknown;
}

}  // namespace rgt
