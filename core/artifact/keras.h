// SPDX-License-Identifier: MIT
// Keras 3's .keras: a zip archive of config.json, metadata.json and model.weights.h5. Source:
// keras/src/saving/saving_lib.py.
#pragma once

#include "core/artifact/format.h"
#include "core/artifact/zip_archive.h"

namespace rgt {

bool is_keras(const ZipArchive& zip);
Result<void> read_keras(const FileBytes& file, const ZipArchive& zip, Depth depth,
                        std::stop_token stop, ArtifactReport& report);

}  // namespace rgt
