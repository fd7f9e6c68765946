// SPDX-License-Identifier: MIT
// The half of the HDF5 reader that runs in the child. It gives libhdf5 a file driver of its own,
// which reads one descriptor at given places and cannot open anything. Source: HDF5 file format
// specification 3.0, H5FDpublic.h.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <hdf5.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 14, 0)
#include <H5FDdevelop.h>
#endif

#include "core/artifact/hdf5.h"
#include "core/artifact/value_scan.h"

namespace rgt {
namespace {

constexpr std::size_t kPiece = 4u << 20;           // bytes of a dataset at once
constexpr std::size_t kChunkCache = 64u << 20;     // bytes: a row of chunks is unpacked once
constexpr std::size_t kElementMost = 16u << 20;    // bytes
constexpr std::size_t kAttributeMost = 16u << 20;  // bytes; Keras keeps a model's JSON in one

// ---- the driver. One file per process: what it reads is global.

int descriptor_read = -1;
Hdf5Place place_read = {};

struct OpenFile {
  H5FD_t common;  // libhdf5's own part comes first
  haddr_t end_of_allocation;
};

OpenFile* mine(H5FD_t* file) { return reinterpret_cast<OpenFile*>(file); }

H5FD_t* open_file(const char*, unsigned flags, hid_t, haddr_t) {
  if ((flags & H5F_ACC_RDWR) != 0) return nullptr;
  return static_cast<H5FD_t*>(std::calloc(1, sizeof(OpenFile)));
}
herr_t close_file(H5FD_t* file) {
  std::free(file);
  return 0;
}
herr_t query(const H5FD_t*, unsigned long* features) {
  if (features != nullptr) *features = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
  return 0;
}
haddr_t get_eoa(const H5FD_t* file, H5FD_mem_t) {
  return reinterpret_cast<const OpenFile*>(file)->end_of_allocation;
}
herr_t set_eoa(H5FD_t* file, H5FD_mem_t, haddr_t at) {
  mine(file)->end_of_allocation = at;
  return 0;
}
haddr_t get_eof(const H5FD_t*, H5FD_mem_t) { return place_read.size; }

// Like libhdf5's own drivers: zeros behind the end, where it looks for more of a short header.
herr_t read_bytes(H5FD_t*, H5FD_mem_t, hid_t, haddr_t at, std::size_t size, void* buffer) {
  char* to = static_cast<char*>(buffer);
  while (size > 0) {
    const std::uint64_t left = at < place_read.size ? place_read.size - at : 0;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, left));
    const ssize_t got =
        wanted == 0 ? 0
                    : ::pread(descriptor_read, to, wanted, static_cast<off_t>(place_read.at + at));
    if (got < 0) return -1;
    if (got == 0) {
      std::memset(to, 0, size);
      return 0;
    }
    to += got;
    at += static_cast<haddr_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return 0;
}
herr_t write_bytes(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, std::size_t, const void*) { return -1; }

hid_t register_driver() {
  static H5FD_class_t driver;
#if H5_VERSION_GE(1, 14, 0)
  driver.version = H5FD_CLASS_VERSION;
  driver.value = static_cast<H5FD_class_value_t>(511);  // of the range for others' drivers
#endif
  driver.name = "one_descriptor";
  driver.maxaddr = static_cast<haddr_t>(INT64_MAX);
  driver.fc_degree = H5F_CLOSE_WEAK;
  driver.open = open_file;
  driver.close = close_file;
  driver.query = query;
  driver.get_eoa = get_eoa;
  driver.set_eoa = set_eoa;
  driver.get_eof = get_eof;
  driver.read = read_bytes;
  driver.write = write_bytes;
  return H5FDregister(&driver);
}

// ---- the walk

#if H5_VERSION_GE(1, 12, 0)
using ObjectInfo = H5O_info2_t;
#else
using ObjectInfo = H5O_info_t;
#endif

// Closes what it holds.
class Held {
 public:
  Held(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Held() {
    if (id_ >= 0) close_(id_);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  operator hid_t() const { return id_; }  // NOLINT(implicit): it is passed to C
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

herr_t keep_deepest(unsigned, const H5E_error2_t* error, void* text) {
  if (error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

// What libhdf5 itself says, where it went wrong first.
std::string reason() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_deepest, &text);
  return text.empty() ? "" : " (" + text + ")";
}

class Walker {
 public:
  Walker(Depth depth, void (*alive)(), Hdf5Summary& summary)
      : depth_(depth), alive_(alive), summary_(summary) {}

  void walk() {
    const hid_t driver = register_driver();
    const Held access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    if (driver < 0 || !access.ok() || H5Pset_driver(access, driver, nullptr) < 0) {
      fail(Hdf5Summary::unverified, "libhdf5 cannot be used");
      return;
    }
    const Held file(H5Fopen("/file", H5F_ACC_RDONLY, access), H5Fclose);
    if (!file.ok()) {
      fail(Hdf5Summary::corrupt, "libhdf5 does not open it" + reason());
      return;
    }
#if H5_VERSION_GE(1, 12, 0)
    const herr_t done = H5Ovisit3(file, H5_INDEX_NAME, H5_ITER_NATIVE, visit, this, H5O_INFO_BASIC);
#else
    const herr_t done = H5Ovisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, visit, this);
#endif
    if (done < 0) fail(Hdf5Summary::corrupt, "not all of its objects can be reached" + reason());
  }

 private:
  // The first trouble is the one that is told. Returns what ends an iteration.
  int fail(Hdf5Summary::End how, const std::string& what) {
    if (summary_.end != Hdf5Summary::whole) return 1;
    summary_.end = how;
    std::snprintf(summary_.trouble.data(), summary_.trouble.size(), "%s", what.c_str());
    return 1;
  }

  static herr_t visit(hid_t root, const char* name, const ObjectInfo* info, void* self) {
    Walker& walker = *static_cast<Walker*>(self);
    walker.alive_();
    walker.name_ = std::string(name).substr(0, 80);
    const Held object(H5Oopen(root, name, H5P_DEFAULT), H5Oclose);
    if (!object.ok())
      return walker.fail(Hdf5Summary::corrupt, walker.name_ + " cannot be opened" + reason());
    if (info->type == H5O_TYPE_GROUP) {
      if (const int ended = walker.count_links(object); ended != 0) return ended;
    }
    if (info->type == H5O_TYPE_DATASET) {
      if (const int ended = walker.read_dataset(root, name); ended != 0) return ended;
    }
    hsize_t at = 0;
    const herr_t done =
        H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &at, visit_attribute, self);
    return done < 0 ? walker.fail(Hdf5Summary::corrupt,
                                  "the attributes of " + walker.name_ + " are broken" + reason())
                    : done;
  }

  int count_links(hid_t group) {
    H5G_info_t info{};
    if (H5Gget_info(group, &info) < 0)
      return fail(Hdf5Summary::corrupt, "group " + name_ + " is broken" + reason());
    hsize_t at = 0;
    const herr_t done = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &at, visit_link, this);
    return done < 0 ? fail(Hdf5Summary::corrupt, "the links of " + name_ + " are broken" + reason())
                    : 0;
  }
#if H5_VERSION_GE(1, 12, 0)
  static herr_t visit_link(hid_t, const char*, const H5L_info2_t* info, void* self) {
#else
  static herr_t visit_link(hid_t, const char*, const H5L_info_t* info, void* self) {
#endif
    static_cast<Walker*>(self)->summary_.external_links += info->type == H5L_TYPE_EXTERNAL;
    return 0;
  }

  static herr_t visit_attribute(hid_t object, const char* name, const H5A_info_t*, void* self) {
    Walker& walker = *static_cast<Walker*>(self);
    const std::string what = "attribute " + std::string(name).substr(0, 80) + " of " + walker.name_;
    const Held attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    if (!attribute.ok()) return walker.fail(Hdf5Summary::corrupt, what + " is broken" + reason());
    const Held type(H5Aget_type(attribute), H5Tclose);
    const Held space(H5Aget_space(attribute), H5Sclose);
    const hssize_t count = space.ok() ? H5Sget_simple_extent_npoints(space) : -1;
    const std::size_t size = type.ok() ? H5Tget_size(type) : 0;
    if (count < 0 || size == 0)
      return walker.fail(Hdf5Summary::corrupt, what + " is broken" + reason());
    if (count == 0 || static_cast<std::uint64_t>(count) > kAttributeMost / size) return 0;
    std::vector<char> bytes(static_cast<std::size_t>(count) * size);
    const herr_t got = H5Aread(attribute, type, bytes.data());
    if (got < 0) return walker.fail(Hdf5Summary::corrupt, what + " cannot be read" + reason());
    give_back(type, space, bytes);
    return 0;
  }

  // Texts and lists of any length are pointers to what libhdf5 allocated.
  static bool has_pointers(hid_t type) {
    const H5T_class_t kind = H5Tget_class(type);
    if (kind == H5T_STRING) return H5Tis_variable_str(type) > 0;
    return kind == H5T_COMPOUND || kind == H5T_ARRAY || kind == H5T_VLEN;
  }
  static void give_back(hid_t type, hid_t space, std::vector<char>& bytes) {
    if (has_pointers(type)) H5Dvlen_reclaim(type, space, H5P_DEFAULT, bytes.data());
  }

  struct Dataset {
    hid_t id = -1, type = -1, space = -1;
    std::size_t element = 0;
    std::uint64_t elements = 0;
    std::vector<hsize_t> sizes = {};
    bool is_number = false;
  };

  int read_dataset(hid_t root, const char* name) {
    const Held access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    H5Pset_chunk_cache(access, 12421, kChunkCache, 1.0);
    const Held id(H5Dopen2(root, name, access), H5Dclose);
    if (!id.ok()) return fail(Hdf5Summary::corrupt, name_ + " cannot be opened" + reason());
    const Held type(H5Dget_type(id), H5Tclose), space(H5Dget_space(id), H5Sclose);
    const Held how(H5Dget_create_plist(id), H5Pclose);
    if (!type.ok() || !space.ok() || !how.ok())
      return fail(Hdf5Summary::corrupt, name_ + " is broken" + reason());
    const hssize_t elements = H5Sget_simple_extent_npoints(space);
    const int rank = H5Sget_simple_extent_ndims(space);
    Dataset dataset{id, type, space, H5Tget_size(type), static_cast<std::uint64_t>(elements)};
    if (elements < 0 || rank < 0 || rank > H5S_MAX_RANK || dataset.element == 0)
      return fail(Hdf5Summary::corrupt, name_ + " is broken" + reason());
    dataset.sizes.resize(static_cast<std::size_t>(rank));
    if (rank > 0 && H5Sget_simple_extent_dims(space, dataset.sizes.data(), nullptr) < 0)
      return fail(Hdf5Summary::corrupt, name_ + " is broken" + reason());
    const H5T_class_t kind = H5Tget_class(type);
    dataset.is_number = kind != H5T_STRING && kind != H5T_REFERENCE && kind != H5T_VLEN;
    if (dataset.is_number) {
      ++summary_.tensors;
      if (__builtin_add_overflow(summary_.parameters, dataset.elements, &summary_.parameters))
        return fail(Hdf5Summary::corrupt, "its shapes overflow");
    }
    if (const int ended = check_storage(dataset, how); ended != 0 || elements == 0) return ended;
    return depth_ < Depth::checksums ? 0 : read_values(dataset);
  }

  // What can be said before reading: where the bytes are, and whether they were ever written.
  int check_storage(const Dataset& dataset, hid_t how) {
    const H5D_layout_t layout = H5Pget_layout(how);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(how) > 0)
      return fail(Hdf5Summary::unverified,
                  name_ + " has its values in other files, which are not read");
    const int filters = H5Pget_nfilters(how);
    for (int i = 0; i < filters; ++i) {
      unsigned flags = 0, config = 0;
      std::size_t values = 0;
      const H5Z_filter_t filter = H5Pget_filter2(how, static_cast<unsigned>(i), &flags, &values,
                                                 nullptr, 0, nullptr, &config);
      if (filter < 0) return fail(Hdf5Summary::corrupt, name_ + " has broken filters" + reason());
      if (H5Zfilter_avail(filter) <= 0)
        return fail(Hdf5Summary::unverified, name_ + " is packed by filter " +
                                                 std::to_string(filter) + ", which is not here");
    }
    if (dataset.elements == 0) return 0;
    if (H5Dget_storage_size(dataset.id) == 0)
      return fail(Hdf5Summary::incomplete, name_ + " was made and never written");
    return layout == H5D_CHUNKED ? check_chunks(dataset, how) : 0;
  }

  // A chunk that was not written reads as zeros, without a word.
  int check_chunks(const Dataset& dataset, hid_t how) {
    std::vector<hsize_t> chunk(dataset.sizes.size());
    if (chunk.empty() || H5Pget_chunk(how, static_cast<int>(chunk.size()), chunk.data()) < 0)
      return fail(Hdf5Summary::corrupt, name_ + " has broken chunks" + reason());
    hsize_t wanted = 1, there = 0;
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      if (chunk[i] == 0) return fail(Hdf5Summary::corrupt, name_ + " has chunks of nothing");
      const hsize_t along = dataset.sizes[i] / chunk[i] + (dataset.sizes[i] % chunk[i] != 0);
      if (__builtin_mul_overflow(wanted, along, &wanted))
        return fail(Hdf5Summary::corrupt, name_ + " has too many chunks");
    }
#if H5_VERSION_GE(1, 10, 5)
    if (H5Dget_num_chunks(dataset.id, dataset.space, &there) < 0)
      return fail(Hdf5Summary::corrupt, name_ + " has a broken index of chunks" + reason());
    if (there < wanted)
      return fail(Hdf5Summary::incomplete, std::to_string(wanted - there) + " of " +
                                               std::to_string(wanted) + " chunks of " + name_ +
                                               " were never written");
#endif
    return 0;
  }

  // Floats by their layout: width, exponent, byte order. Complex numbers are compounds of them.
  static ElementType float_type(hid_t type) {
    if (H5Tget_class(type) == H5T_COMPOUND) {
      ElementType all = ElementType::other;
      const int members = H5Tget_nmembers(type);
      std::size_t bytes = 0;
      for (int i = 0; i < members; ++i) {
        const Held member(H5Tget_member_type(type, static_cast<unsigned>(i)), H5Tclose);
        if (!member.ok() || H5Tget_class(member) != H5T_FLOAT) return ElementType::other;
        const ElementType one = float_type(member);
        if (i > 0 && one != all) return ElementType::other;
        all = one;
        bytes += H5Tget_size(member);
      }
      return bytes == H5Tget_size(type) ? all : ElementType::other;
    }
    if (H5Tget_class(type) != H5T_FLOAT) return ElementType::other;
    std::size_t sign = 0, exponent_at = 0, exponent = 0, mantissa_at = 0, mantissa = 0;
    if (H5Tget_fields(type, &sign, &exponent_at, &exponent, &mantissa_at, &mantissa) < 0)
      return ElementType::other;
    switch (H5Tget_size(type) * 100 + exponent) {
      case 811: return ElementType::f64;
      case 408: return ElementType::f32;
      case 205: return ElementType::f16;
      case 208: return ElementType::bf16;
      default: return ElementType::other;
    }
  }
  static bool is_big_endian(hid_t type) {
    if (H5Tget_class(type) != H5T_COMPOUND) return H5Tget_order(type) == H5T_ORDER_BE;
    const Held member(H5Tget_member_type(type, 0), H5Tclose);
    return member.ok() && H5Tget_order(member) == H5T_ORDER_BE;
  }

  // Box by box: whole rows of the innermost dimensions, as many as fit into a piece.
  int read_values(const Dataset& dataset) {
    if (dataset.element > kElementMost)
      return fail(Hdf5Summary::unverified, name_ + " has larger elements than we read");
    ValueScan scan(float_type(dataset.type), is_big_endian(dataset.type));
    const std::size_t rank = dataset.sizes.size();
    std::vector<hsize_t> start(rank, 0), count(dataset.sizes);
    std::uint64_t inner = 1;  // elements of one step of `split`
    std::size_t split = rank;
    const std::uint64_t most = kPiece / std::min(dataset.element, kPiece);
    while (split > 0 && dataset.sizes[split - 1] <= most / inner) inner *= dataset.sizes[--split];
    // `split` is the first dimension that is read whole; the one before it is read in steps.
    const bool stepped = split > 0;
    const hsize_t step = std::max<std::uint64_t>(1, most / inner);
    for (std::size_t i = 0; i + 1 < split; ++i) count[i] = 1;
    std::vector<char> bytes;
    while (true) {
      if (stepped) count[split - 1] = std::min(step, dataset.sizes[split - 1] - start[split - 1]);
      if (const int ended = read_box(dataset, start, count, bytes, scan); ended != 0) return ended;
      alive_();
      if (!stepped || !advance(dataset, start, count, split)) break;
    }
    if (!dataset.is_number) return 0;
    ++summary_.scanned;
    summary_.all_zero += !has_pointers(dataset.type) && scan.all_zero();
    if (scan.not_finite() > 0 && summary_.not_finite == 0)
      std::snprintf(summary_.first_not_finite.data(), summary_.first_not_finite.size(), "%s",
                    name_.c_str());
    summary_.not_finite += scan.not_finite();
    return 0;
  }

  static bool advance(const Dataset& dataset, std::vector<hsize_t>& start,
                      const std::vector<hsize_t>& count, std::size_t split) {
    for (std::size_t i = split; i > 0; --i) {
      start[i - 1] += count[i - 1];
      if (start[i - 1] < dataset.sizes[i - 1]) return true;
      start[i - 1] = 0;
    }
    return false;
  }

  int read_box(const Dataset& dataset, const std::vector<hsize_t>& start,
               const std::vector<hsize_t>& count, std::vector<char>& bytes, ValueScan& scan) {
    hsize_t elements = 1;
    for (const hsize_t one : count) elements *= one;
    bytes.resize(static_cast<std::size_t>(elements) * dataset.element);
    const Held memory(H5Screate_simple(1, &elements, nullptr), H5Sclose);
    herr_t got = memory.ok() ? 0 : -1;
    if (got >= 0 && !start.empty())
      got = H5Sselect_hyperslab(dataset.space, H5S_SELECT_SET, start.data(), nullptr, count.data(),
                                nullptr);
    if (got >= 0)
      got = H5Dread(dataset.id, dataset.type, memory, dataset.space, H5P_DEFAULT, bytes.data());
    if (got < 0) return fail(Hdf5Summary::corrupt, name_ + " cannot be read" + reason());
    if (has_pointers(dataset.type)) {
      // Not the values but where they are; complex numbers hold none.
      if (float_type(dataset.type) != ElementType::other) scan.feed({bytes.data(), bytes.size()});
      give_back(dataset.type, memory, bytes);
    } else {
      scan.feed({bytes.data(), bytes.size()});
    }
    return 0;
  }

  const Depth depth_;
  void (*const alive_)();
  Hdf5Summary& summary_;
  std::string name_ = {};  // of the object at hand
};

}  // namespace

void walk_hdf5(int descriptor, Hdf5Place place, Depth depth, void (*alive)(),
               Hdf5Summary& summary) {
  descriptor_read = descriptor;
  place_read = place;
  ::setenv("HDF5_PLUGIN_PRELOAD", "::", 1);  // no plugins, whatever the environment says
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  Walker(depth, alive, summary).walk();
}

}  // namespace rgt
