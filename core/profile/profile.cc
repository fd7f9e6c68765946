// SPDX-License-Identifier: MIT
#include "core/profile/profile.h"

#include <algorithm>
#include <functional>
#include <map>

#include <yaml-cpp/yaml.h>

#include "core/base/text.h"
#include "core/profile/frontmatter.h"

namespace rgt {
namespace {

constexpr std::size_t kItems = 100;  // entries of any list
constexpr std::size_t kText = 2000;  // bytes of any value

struct Trouble {
  std::string message;
};

std::string place(const YAML::Node& node) {
  const YAML::Mark mark = node.Mark();
  // Frontmatter begins on the file's second line; marks count from zero.
  return mark.is_null() ? "" : " (line " + std::to_string(mark.line + 2) + ")";
}

[[noreturn]] void fail(const YAML::Node& node, const std::string& key, const std::string& what) {
  throw Trouble{key + place(node) + ": " + what};
}

std::string kind_of(const YAML::Node& node) {
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  if (node.IsNull()) return "nothing";
  return "\"" + clean_line(node.Scalar(), 60) + "\"";
}

std::string read_text(const YAML::Node& node, const std::string& key) {
  if (!node.IsScalar()) fail(node, key, "expected text, got " + kind_of(node));
  if (node.Scalar().size() > kText)
    fail(node, key, "longer than " + std::to_string(kText) + " bytes");
  return node.Scalar();
}

bool read_flag(const YAML::Node& node, const std::string& key) {
  const std::string text = read_text(node, key);
  if (text == "true") return true;
  if (text == "false") return false;
  fail(node, key, "expected true or false, got " + kind_of(node));
}

std::string read_choice(const YAML::Node& node, const std::string& key,
                        const std::vector<std::string>& allowed) {
  const std::string text = read_text(node, key);
  if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  fail(node, key, "expected one of " + join(allowed, ", ") + "; got " + kind_of(node));
}

std::vector<std::string> read_texts(const YAML::Node& node, const std::string& key) {
  if (!node.IsSequence()) fail(node, key, "expected a list, got " + kind_of(node));
  if (node.size() > kItems) fail(node, key, "more than " + std::to_string(kItems) + " items");
  std::vector<std::string> texts;
  for (const YAML::Node& item : node)
    texts.push_back(read_text(item, key + "[" + std::to_string(texts.size()) + "]"));
  return texts;
}

using Field = std::function<void(const YAML::Node&, const std::string& key)>;
struct Schema {
  std::map<std::string, Field> fields = {};
  std::vector<std::string> required = {};
};

// Every key of `node` must be known; every required one there.
void read_map(const YAML::Node& node, const std::string& path, const Schema& schema) {
  const std::string prefix = path.empty() ? "" : path + ".";
  if (!node.IsMap())
    fail(node, path.empty() ? "frontmatter" : path, "expected a map, got " + kind_of(node));
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    const std::string key = read_text(entry.first, path.empty() ? "a key" : path);
    const auto field = schema.fields.find(key);
    if (field == schema.fields.end()) {
      std::vector<std::string> known;
      for (const auto& [name, ignored] : schema.fields) known.push_back(name);
      const auto near = did_you_mean(key, known);
      fail(entry.first, prefix + clean_line(key, 60),
           near ? "unknown key; did you mean " + *near + "?"
                : "unknown key; known: " + join(known, ", "));
    }
    if (std::find(seen.begin(), seen.end(), key) != seen.end())
      fail(entry.first, prefix + key, "stands twice");
    seen.push_back(key);
    field->second(entry.second, prefix + key);
  }
  for (const std::string& key : schema.required) {
    if (std::find(seen.begin(), seen.end(), key) == seen.end())
      fail(node, prefix + key, "is missing");
  }
}

Field into(std::string& target) {
  return
      [&target](const YAML::Node& node, const std::string& key) { target = read_text(node, key); };
}
Field into(bool& target) {
  return
      [&target](const YAML::Node& node, const std::string& key) { target = read_flag(node, key); };
}
Field into(std::vector<std::string>& target) {
  return
      [&target](const YAML::Node& node, const std::string& key) { target = read_texts(node, key); };
}
Field into(Survives& target) {
  return [&target](const YAML::Node& node, const std::string& key) {
    const std::string word = read_choice(node, key, {"yes", "no", "billed", "unknown"});
    target = word == "yes"      ? Survives::yes
             : word == "no"     ? Survives::no
             : word == "billed" ? Survives::billed
                                : Survives::unknown;
  };
}

template <class Item, class MakeSchema>
Field list_into(std::vector<Item>& target, MakeSchema schema_of) {
  return [&target, schema_of](const YAML::Node& node, const std::string& key) {
    if (!node.IsSequence()) fail(node, key, "expected a list, got " + kind_of(node));
    if (node.size() > kItems) fail(node, key, "more than " + std::to_string(kItems) + " items");
    for (const YAML::Node& entry : node) {
      Item item;
      read_map(entry, key + "[" + std::to_string(target.size()) + "]", schema_of(item));
      target.push_back(std::move(item));
    }
  };
}

Schema meter_stop_schema(MeterStop& stop) {
  return {{{"verb", into(stop.verb)},
           {"irreversible", into(stop.irreversible)},
           {"destroys", into(stop.destroys)},
           {"keeps", into(stop.keeps)},
           {"rgt_can_do_it", into(stop.rgt_can_do_it)}},
          {"verb", "irreversible", "destroys", "keeps"}};
}
Schema storage_schema(StorageTier& tier) {
  return {{{"name", into(tier.name)},
           {"path", into(tier.path)},
           {"stop", into(tier.stop)},
           {"destroy", into(tier.destroy)},
           {"note", into(tier.note)}},
          {"name", "path", "stop", "destroy"}};
}
Schema clock_schema(DangerClock& clock) {
  constexpr std::uint64_t kMostHours = 24 * 366;
  return {{{"id", into(clock.id)},
           {"what", into(clock.what)},
           {"why", into(clock.why)},
           {"hours",
            [&clock](const YAML::Node& node, const std::string& key) {
              const auto number = parse_uint(read_text(node, key));
              if (!number || *number == 0 || *number > kMostHours)
                fail(node, key, "expected whole hours, at most a year, got " + kind_of(node));
              clock.hours = static_cast<int>(*number);
            }},
           {"from",
            [&clock](const YAML::Node& node, const std::string& key) {
              const std::string word = read_choice(node, key, {"off", "session"});
              clock.from = word == "off" ? DangerClock::From::off : DangerClock::From::session;
            }}},
          {"id", "what", "why"}};
}

Field verified_into(std::string& target) {
  return [&target](const YAML::Node& node, const std::string& key) {
    target = read_text(node, key);
    const bool shaped = target.size() == 7 && target[4] == '-' && parse_uint(target.substr(0, 4)) &&
                        parse_uint(target.substr(5)) && *parse_uint(target.substr(5)) >= 1 &&
                        *parse_uint(target.substr(5)) <= 12;
    if (!shaped) fail(node, key, "expected a month like 2026-11, got " + kind_of(node));
  };
}

Schema profile_schema(Profile& profile) {
  static const std::vector<std::string> kKinds{"ssh",        "ssh-rental", "cloud-api",  "slurm",
                                               "kubernetes", "notebook",   "workstation"};
  return {
      {{"title", into(profile.title)},
       {"kind", [&](const YAML::Node& node,
                    const std::string& key) { profile.kind = read_choice(node, key, kKinds); }},
       {"detach", into(profile.detach)},
       {"meter_stop",
        [&](const YAML::Node& node, const std::string& key) {
          read_map(node, key, meter_stop_schema(profile.meter_stop));
        }},
       {"storage", list_into(profile.storage, storage_schema)},
       {"danger_clocks", list_into(profile.danger_clocks, clock_schema)},
       {"conveniences", into(profile.conveniences)},
       {"data_mount", into(profile.data_mount)},
       {"durable_mount", into(profile.durable_mount)},
       {"spot_available", into(profile.spot_available)},
       {"china_mirror_needed", into(profile.china_mirror_needed)},
       {"inode_cap",
        [&](const YAML::Node& node, const std::string& key) {
          const auto number = parse_uint(read_text(node, key));
          if (!number) fail(node, key, "expected a whole number, got " + kind_of(node));
          profile.inode_cap = *number;
        }},
       {"verified", verified_into(profile.verified)},
       {"source", into(profile.source)},
       {"entries", into(profile.entries)}},
      {"title", "kind", "detach", "meter_stop", "storage", "danger_clocks", "verified", "source"}};
}

}  // namespace

Result<Profile> parse_profile(std::string_view name, std::string_view markdown) {
  auto yaml = frontmatter_text("profile " + std::string(name), markdown);
  if (!yaml) return yaml.error();
  const auto wrong = [&](const std::string& what) {
    return Error{Code::corrupt, "profile " + std::string(name) + ": " + clean_line(what, 400),
                 "see profiles/_schema.md"};
  };
  Profile profile;
  profile.name = name;
  try {
    read_map(YAML::Load(*yaml), "", profile_schema(profile));
  } catch (const Trouble& trouble) {
    return wrong(trouble.message);
  } catch (const YAML::Exception& error) {
    return wrong("line " + std::to_string(error.mark.line + 2) + ": " + error.msg);
  }
  return profile;
}

}  // namespace rgt
