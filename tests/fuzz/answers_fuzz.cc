// SPDX-License-Identifier: MIT
// Any bytes as what our scripts answer from a box: looks, manifests and surveys.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/result.h"
#include "core/base/text.h"
#include "core/box/look.h"
#include "core/box/manifest.h"
#include "core/box/survey.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view answer(reinterpret_cast<const char*>(data), size);
  if (const auto reading = rgt::parse_look(answer)) {
    for (const rgt::RunReading& run : reading->runs) {
      rgt::require(rgt::is_safe_name(run.run), "a run's name is not one");
      for (const rgt::CellReading& cell : run.cells) {
        rgt::require(rgt::is_safe_name(cell.cell), "a cell's name is not one");
        rgt::require(cell.log_bytes.size() <= size, "more of the log than was sent");
      }
    }
  }
  if (const auto manifest = rgt::parse_manifest(answer))
    rgt::require(manifest->entries.size() <= size, "more entries than bytes");
  if (const auto survey = rgt::parse_survey(answer))
    rgt::require(rgt::is_valid_utf8(survey->os), "a text is not UTF-8");
  return 0;
}
