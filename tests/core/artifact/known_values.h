// SPDX-License-Identifier: MIT
// What a file of checkpoints loads to, read apart from the readers' own judgement, and where its
// parts begin and end: what mutate_artifacts holds them to. Aborts on what is no such file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rgt {

bool is_zip(const std::string& format);
bool has_checksums(const std::string& format);  // over every byte that a value comes from

// Equal if, and only if, both load to the same. Where nothing but a reader's own code knows the
// values, the bytes themselves.
std::string values_of(const std::string& format, const std::filesystem::path& path,
                      std::string_view bytes);

// Records are gone, doubled or in another order, but each is one that was written: no checksum of a
// record can tell, and a stream has no other.
bool only_whole_parts(const std::string& format, std::string_view original,
                      std::string_view damaged);

// 0, the size, and whatever lies between two parts; ascending.
std::vector<std::size_t> edges_of(const std::string& format, const std::filesystem::path& path,
                                  std::string_view bytes);

}  // namespace rgt
