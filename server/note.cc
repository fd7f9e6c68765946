// SPDX-License-Identifier: MIT
#include "server/note.h"

#include <filesystem>
#include <iostream>

#include "core/base/files.h"
#include "core/handbook/draft.h"
#include "server/print.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// Drafts that wait already: their ids are spoken for.
std::set<std::string> waiting_drafts(const fs::path& folder) {
  std::set<std::string> ids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    ids.insert(entry.path().stem().string());
  return ids;
}

}  // namespace

int draft_note(World& world, const Options& options) {
  const Draft draft{options.family, options.symptom, options.cause, options.fix,
                    options.check,  options.also,    options.source};
  const fs::path folder = world.state() / "notes";
  const auto entry = draft_entry(world.environment().handbook, draft, waiting_drafts(folder));
  if (!entry) return print_error(entry.error());
  std::error_code error;
  fs::create_directories(folder, error);
  const fs::path file = folder / (entry->id + ".md");
  if (auto written = write_file_atomically(file, entry->markdown); !written)
    return print_error(written.error());
  if (options.json) {
    return print_json({{"id", entry->id},
                       {"file", file.string()},
                       {"document", entry->document},
                       {"similar", entry->similar}});
  }
  std::cout << "Drafted " << entry->id << " in " << file.string() << "\n"
            << "A person reads it, and moves it into " << entry->document
            << " if it holds (references/self-improvement.md has the bar).\n";
  if (!entry->similar.empty())
    std::cout << "Today the symptom finds " << entry->similar
              << ": is it that? Then better its words there.\n";
  return 0;
}

}  // namespace rgt
