// SPDX-License-Identifier: MIT
// Whose zip archive it is. All names decide and not the first: a PyTorch checkpoint that begins
// with an array is one still.
#include "core/artifact/format.h"
#include "core/artifact/keras.h"
#include "core/artifact/npy.h"
#include "core/artifact/zip_archive.h"
#include "core/base/text.h"

namespace rgt {
namespace {

// By its name, for a broken one.
std::string_view named_format(std::string_view path) {
  const std::string name = to_lower(path);
  return name.ends_with(".npz") ? "npz" : name.ends_with(".keras") ? "keras" : "";
}

}  // namespace

Result<void> read_zip(const FileBytes& file, Depth depth, std::stop_token stop,
                      ArtifactReport& report) {
  const auto zip = ZipArchive::open(file);
  if (zip && is_npz(*zip)) return read_npz(file, *zip, depth, std::move(stop), report);
  if (zip && is_keras(*zip)) return read_keras(file, *zip, depth, std::move(stop), report);
  const std::string_view named = named_format(report.path);
  if (zip || named.empty()) return read_pytorch_zip(file, depth, std::move(stop), report);
  if (zip.error().code == Code::io) return zip.error();
  report.format = named;
  report.reader = report.format + "/1";
  Judgement(report).fail(ArtifactVerdict::corrupt, zip.error().message);
  return {};
}

}  // namespace rgt
