// SPDX-License-Identifier: MIT
// The registry of folder kinds, and the walk that finds them among a tree's files.
#include <algorithm>
#include <array>
#include <memory>

#include "core/artifact/file_bytes.h"
#include "core/artifact/folder.h"
#include "core/base/text.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

struct Kind {
  std::string_view format, reader;
  bool (*is)(const FolderNames&);
  Result<void> (*read)(const FolderCheck&);
};

// All that fit add to one report; the first names it.
constexpr std::array<Kind, 6> kKinds{
    {{"hf_trainer", "hf_trainer/1", is_hf_trainer, read_hf_trainer},
     {"accelerate", "accelerate/1", is_accelerate, read_accelerate},
     {"deepspeed_zero", "deepspeed_zero/1", is_deepspeed, read_deepspeed},
     {"dcp", "dcp/1", is_dcp, read_dcp},
     {"orbax", "orbax/1", is_orbax, read_orbax},
     {"sharded", "sharded/1", is_sharded, read_sharded}}};

// The first error a report tells, or its verdict.
std::string why(const ArtifactReport& report) {
  for (const Finding& finding : report.findings) {
    if (finding.severity == Finding::Severity::error) return finding.what;
  }
  return std::string(artifact_verdict_name(report.verdict));
}

// What trainers write besides the state, as pickles of their own classes.
bool is_beside_the_state(std::string_view name) {
  return name == "training_args.bin" || number_in(name, "custom_checkpoint_", ".pkl").has_value();
}

// Empty on purpose: Orbax's markers, and "{}" where a library had nothing to say. They are
// "incomplete" only as metrics would be.
bool is_rightly_empty(const std::string& name, const ArtifactReport& file) {
  return file.verdict == ArtifactVerdict::incomplete &&
         (name == "orbax.checkpoint" || name == "commit_success.txt" ||
          (file.format == "json" && file.size > 1));
}

// A member that is broken breaks the set.
void judge_damage(const Folder& folder, Judgement& judgement) {
  for (const auto verdict :
       {ArtifactVerdict::hostile, ArtifactVerdict::corrupt, ArtifactVerdict::incomplete}) {
    for (const auto& [name, file] : folder.files) {
      if (file->verdict == verdict && !is_rightly_empty(name, *file))
        judgement.fail(verdict, shown(name) + " is " + std::string(artifact_verdict_name(verdict)) +
                                    ": " + why(*file));
    }
  }
}

// A member that could not be proven leaves the set unproven, if it is a part of the state.
void judge_unproven(const Folder& folder, Judgement& judgement) {
  std::vector<std::string> plain;
  for (const auto& [name, file] : folder.files) {
    if (file->verdict != ArtifactVerdict::unverified) continue;
    if (file->format == "plain")
      plain.push_back(shown(name));
    else if (is_beside_the_state(name))
      judgement.warn(shown(name) + ": " + why(*file));
    else
      judgement.fail(ArtifactVerdict::unverified, shown(name) + " is unverified: " + why(*file));
  }
  if (!plain.empty())
    judgement.info("files without a reader are no part of the proof: " + list_some(plain));
}

Result<ArtifactReport> read_folder(Folder& folder, const std::vector<const Kind*>& kinds,
                                   Depth depth, std::stop_token stop) {
  ArtifactReport report{.path = folder.path.string(),
                        .format = std::string(kinds[0]->format),
                        .reader = std::string(kinds[0]->reader),
                        .verdict = ArtifactVerdict::ok};
  Judgement judgement(report);
  for (const auto& [name, file] : folder.files) {
    report.size += file->size;
    report.tensors += file->tensors;
    report.parameters += file->parameters;
  }
  judge_damage(folder, judgement);
  judgement.reached(Depth::structure);
  for (const Kind* kind : kinds) {
    if (auto done = kind->read({folder, depth, stop, report, judgement}); !done) {
      if (done.error().code != Code::corrupt && done.error().code != Code::limit)
        return done.error();
      judgement.fail(ArtifactVerdict::corrupt, done.error().message);
    }
  }
  judge_unproven(folder, judgement);
  return report;
}

// ---- the walk

struct Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> folders = {};
  std::map<std::string, std::size_t, std::less<>> files = {};  // indexes into what was given
};

// What is below a node and in no set yet.
struct Below {
  std::vector<std::size_t> files = {};
  std::vector<std::size_t> sets = {};  // indexes into the folder reports
  std::size_t last = 0;                // the highest index of all, those in sets too
};

class Walk {
 public:
  Walk(const fs::path& root, const std::vector<ArtifactReport*>& files, Depth depth,
       std::stop_token stop)
      : root_(root), files_(files), depth_(depth), stop_(std::move(stop)) {
    std::error_code ignored;
    name_ = fs::absolute(root, ignored).lexically_normal();
    if (!name_.has_filename()) name_ = name_.parent_path();
    for (std::size_t i = 0; i < files.size(); ++i) insert(i);
  }

  Result<std::vector<FolderReport>> run() {
    if (auto done = visit(tree_, root_, name_.filename().string(), false); !done)
      return done.error();
    return std::move(reports_);
  }

 private:
  void insert(std::size_t index) {
    Node* node = &tree_;
    const fs::path below = fs::path(files_[index]->path).lexically_relative(root_);
    if (below.empty() || *below.begin() == "..") return;  // not of this root
    for (auto part = below.begin(); part != below.end(); ++part) {
      if (std::next(part) == below.end()) {
        node->files[part->string()] = index;
      } else {
        auto& next = node->folders[part->string()];
        if (next == nullptr) next = std::make_unique<Node>();
        node = next.get();
      }
    }
  }

  Result<Below> visit(const Node& node, const fs::path& path, const std::string& name,
                      bool parent_has_latest) {
    if (stop_.stop_requested())
      return Error{Code::cancelled, "stopped while checking", "call again"};
    FolderNames names{.name = name};
    Below all;
    for (const auto& [file, index] : node.files) {
      names.files.insert(file);
      all.files.push_back(index);
      all.last = std::max(all.last, index);
    }
    const bool latest = node.files.contains("latest");
    for (const auto& [folder, child] : node.folders) {
      names.folders.insert(folder);
      auto below = visit(*child, path / folder, folder, latest);
      if (!below) return below;
      // The longer one takes in the shorter: a long way down costs no more than a wide one.
      if (below->files.size() > all.files.size()) std::swap(below->files, all.files);
      all.files.insert(all.files.end(), below->files.begin(), below->files.end());
      all.last = std::max(all.last, below->last);
      all.sets.insert(all.sets.end(), below->sets.begin(), below->sets.end());
    }
    std::vector<const Kind*> kinds;
    for (const Kind& kind : kKinds) {
      if (kind.is(names)) kinds.push_back(&kind);
    }
    if (kinds.empty()) return all;
    Folder folder{.path = path, .names = std::move(names), .parent_has_latest = parent_has_latest};
    return add_report(std::move(folder), kinds, std::move(all));
  }

  Result<Below> add_report(Folder folder, const std::vector<const Kind*>& kinds, Below all) {
    for (const std::size_t index : all.files) {
      const auto below = fs::path(files_[index]->path).lexically_relative(folder.path);
      folder.files[below.generic_string()] = files_[index];
    }
    for (const std::size_t index : all.sets) {
      const auto below = fs::path(reports_[index].report.path).lexically_relative(folder.path);
      folder.sets[below.generic_string()] = &reports_[index].report;
    }
    auto report = read_folder(folder, kinds, depth_, stop_);
    if (!report) return report.error();
    std::sort(all.files.begin(), all.files.end());
    reports_.push_back({std::move(*report), std::move(all.files), all.last});
    return Below{{}, {reports_.size() - 1}, all.last};
  }

  const fs::path& root_;
  fs::path name_ = {};
  const std::vector<ArtifactReport*>& files_;
  const Depth depth_;
  const std::stop_token stop_;
  Node tree_ = {};
  std::vector<FolderReport> reports_ = {};
};

}  // namespace

Result<std::vector<FolderReport>> check_folders(const fs::path& root,
                                                const std::vector<ArtifactReport*>& files,
                                                const CheckOptions& options, std::stop_token stop) {
  if (options.depth < Depth::structure) return std::vector<FolderReport>();
  return Walk(root, files, options.depth, std::move(stop)).run();
}

Result<std::vector<ArtifactReport>> judge_sets(const fs::path& root,
                                               const std::vector<ArtifactReport*>& files,
                                               std::stop_token stop) {
  auto sets = check_folders(root, files, {}, std::move(stop));
  if (!sets) return sets.error();
  std::vector<ArtifactReport> reports;
  for (FolderReport& set : *sets) {
    for (const std::size_t i : set.files) {
      ArtifactReport& member = *files[i];
      if (set.report.verdict == ArtifactVerdict::ok || member.verdict != ArtifactVerdict::ok)
        continue;
      member.verdict = set.report.verdict;
      member.findings.insert(
          member.findings.begin(),
          {Finding::Severity::error, "a file of a checkpoint that is " +
                                         std::string(artifact_verdict_name(member.verdict)) + ": " +
                                         why(set.report)});
    }
    reports.push_back(std::move(set.report));
  }
  return reports;
}

Result<std::optional<std::string>> member_text(const FolderCheck& check, const std::string& name,
                                               std::uint64_t most) {
  const std::optional<std::string> nothing;
  const ArtifactReport* member = check.folder.file(name);
  if (member == nullptr)
    return check.judgement.fail(ArtifactVerdict::incomplete, shown(name) + " is missing"), nothing;
  if (member->size > most) {
    check.judgement.fail(ArtifactVerdict::unverified,
                         shown(name) + " is larger than " + human_bytes(most) + ": not read");
    return nothing;
  }
  const auto file = FileBytes::open(member->path);
  if (!file) return file.error();
  // A file that grew meanwhile is not read further than it was.
  auto text = file->read(0, static_cast<std::size_t>(std::min(file->size(), most)));
  if (!text) return text.error();
  return std::optional(std::move(*text));
}

void judge_set(const FolderCheck& check, std::string_view name) {
  const auto found = check.folder.sets.find(name);
  if (found == check.folder.sets.end() || found->second->verdict == ArtifactVerdict::ok) return;
  check.judgement.fail(found->second->verdict,
                       shown(name) + " is " +
                           std::string(artifact_verdict_name(found->second->verdict)) + ": " +
                           why(*found->second));
}

void prove_member(ArtifactReport& member, Depth depth, std::string why_proven) {
  if (member.verdict != ArtifactVerdict::unverified) return;
  std::erase_if(member.findings, [](const Finding& finding) {
    return finding.severity == Finding::Severity::error;
  });
  member.verdict = ArtifactVerdict::ok;
  member.depth = depth;
  Judgement(member).info(std::move(why_proven));
}

std::string shown(std::string_view name) { return clean_line(name, 120); }

std::optional<std::uint64_t> number_in(std::string_view name, std::string_view head,
                                       std::string_view tail) {
  if (!name.starts_with(head) || name.size() < head.size() + tail.size() || !name.ends_with(tail))
    return std::nullopt;
  return parse_uint(name.substr(head.size(), name.size() - head.size() - tail.size()));
}

std::string list_some(const std::vector<std::string>& names) {
  constexpr std::size_t kSome = 5;
  std::vector<std::string> first(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(kSome, names.size())));
  std::string text = join(first, ", ");
  if (names.size() > kSome) text += " and " + std::to_string(names.size() - kSome) + " more";
  return text;
}

void expect_all(const std::set<std::uint64_t>& there, std::uint64_t first, std::uint64_t count,
                const std::string& what, Judgement& judgement) {
  std::vector<std::string> missing;
  const std::uint64_t found =
      static_cast<std::uint64_t>(std::distance(there.begin(), there.lower_bound(count)));
  if (found == count) return;
  for (std::uint64_t i = 0; i < count && missing.size() < 5; ++i) {
    if (!there.contains(i)) missing.push_back(std::to_string(i + first));
  }
  judgement.fail(ArtifactVerdict::incomplete, what + " " + join(missing, ", ") +
                                                  (count - found > missing.size() ? "..." : "") +
                                                  " is missing (" + std::to_string(found) + " of " +
                                                  std::to_string(count) + " are there)");
}

}  // namespace rgt
