// SPDX-License-Identifier: MIT
// HDF5 through libhdf5, which was not written for hostile bytes: it runs in a child process that
// can read one file and write one pipe, and nothing else.
//
// The child is forked and does not exec: a library cannot know of which program it is a part (a
// test, the server, a fuzzer). glibc keeps malloc and stdio usable in the child of a program with
// threads, and nothing else in this program ever calls libhdf5, so the child finds it untouched.
// Under AddressSanitizer a fork while another thread allocates may leave the child waiting; then
// the parent's deadline ends it.
#pragma once

#include <array>
#include <cstdint>
#include <stop_token>

#include "core/artifact/file_bytes.h"
#include "core/artifact/format.h"
#include "core/base/result.h"

namespace rgt {

// Where in a file the HDF5 bytes are: all of it, or an entry of a zip archive that is stored.
struct Hdf5Place {
  std::uint64_t at = 0, size = 0;
};

// What the child says. Plain bytes: it crosses a pipe, and the child may have been taken over.
struct Hdf5Summary {
  enum End : std::uint32_t { whole, corrupt, incomplete, unverified };
  std::uint32_t end = whole;
  std::uint32_t external_links = 0;
  std::uint64_t tensors = 0, parameters = 0;
  std::uint64_t scanned = 0, not_finite = 0, all_zero = 0;
  std::array<char, 256> trouble = {};
  std::array<char, 128> first_not_finite = {};
};

// In the child: walks all objects, reads every dataset (below Depth::checksums only their
// descriptions) and every attribute. Follows no link out of the file. `alive` is called at least
// once for every 4 MiB. Not thread-safe, and once per process.
void walk_hdf5(int descriptor, Hdf5Place place, Depth depth, void (*alive)(), Hdf5Summary& summary);

// Fills the report's tensors and the judgement's findings; does not set the format or the verdict.
Result<void> prove_hdf5(const FileBytes& file, Hdf5Place place, Depth depth, std::stop_token stop,
                        ArtifactReport& report, Judgement& judgement);

}  // namespace rgt
