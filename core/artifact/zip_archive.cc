// SPDX-License-Identifier: MIT
#include "core/artifact/zip_archive.h"

#include <algorithm>
#include <array>
#include <set>

#include <isa-l/crc.h>
#include <zlib.h>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kZip64EndSignature = 0x06064b50;
constexpr std::uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr std::uint32_t kDirectorySignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kDescriptorSignature = 0x08074b50;
constexpr std::uint64_t kEndSize = 22, kZip64EndSize = 56, kLocatorSize = 20, kLocalSize = 30;
constexpr std::uint64_t kCommentMost = 65535;   // the field has 16 bits
constexpr std::uint64_t kEntriesMost = 200000;  // a large FSDP checkpoint has tens of thousands
constexpr std::uint64_t kDirectoryMost = 64u << 20;
constexpr std::uint64_t kDeflateRatioMost = 1032;  // the format's own limit
constexpr std::uint64_t kUnpackedFree =
    1ull << 30;  // bytes; seconds of work, so any ratio is let through
constexpr std::uint64_t kUnpackedRatioMost = 100;  // beyond that; weights deflate to half at best
constexpr std::uint32_t kAbsent32 = 0xFFFFFFFFu;   // "look into the zip64 extra field"
constexpr std::uint16_t kFlagEncrypted = 0x0001, kFlagDescriptor = 0x0008, kFlagPatch = 0x0020,
                        kFlagStrong = 0x0040, kFlagMasked = 0x2000;

Error damaged(const std::string& what) {
  return {Code::corrupt, "zip: " + what, "the file is damaged or was made to deceive"};
}

struct Directory {
  std::uint64_t at = 0, size = 0, count = 0;
};

// The end record must be the file's last bytes: what follows it would be hidden from every reader.
Result<Directory> find_directory(const FileBytes& file) {
  if (file.size() < kEndSize) return damaged("too short for an archive");
  const std::uint64_t window = std::min(file.size(), kEndSize + kCommentMost);
  const auto tail = file.read(file.size() - window, static_cast<std::size_t>(window));
  if (!tail) return tail.error();
  std::uint64_t end_at = file.size();
  for (std::uint64_t at = window - kEndSize + 1; at-- > 0;) {
    Cursor cursor(std::string_view(*tail).substr(static_cast<std::size_t>(at)));
    if (cursor.little(4) != kEndSignature) continue;
    cursor.take(16);
    // miniz takes the last signature whatever follows it, so a comment may not hold another one.
    if (cursor.little(2) != cursor.left()) return damaged("bytes behind the end record");
    end_at = file.size() - window + at;
    break;
  }
  if (end_at == file.size())
    return damaged("no end record: the file was cut or has bytes appended");

  Cursor end(
      std::string_view(*tail).substr(static_cast<std::size_t>(end_at - (file.size() - window))));
  end.take(4);
  const std::uint64_t disk = end.little(2), directory_disk = end.little(2), here = end.little(2);
  Directory directory;
  directory.count = end.little(2);
  directory.size = end.little(4);
  directory.at = end.little(4);
  if (disk != 0 || directory_disk != 0 || here != directory.count)
    return damaged("spans several disks");
  std::uint64_t directory_end = end_at;

  if (end_at >= kLocatorSize + kZip64EndSize) {
    const auto located = file.read(end_at - kLocatorSize, kLocatorSize);
    if (!located) return located.error();
    Cursor locator(*located);
    if (locator.little(4) == kZip64LocatorSignature) {
      locator.take(4);
      const std::uint64_t at = locator.little(8);
      if (at != end_at - kLocatorSize - kZip64EndSize)
        return damaged("the zip64 end record is not where it must be");
      const auto record = file.read(at, kZip64EndSize);
      if (!record) return record.error();
      Cursor big(*record);
      if (big.little(4) != kZip64EndSignature) return damaged("the zip64 end record is broken");
      big.take(8 + 4 + 8);
      const std::uint64_t count_here = big.little(8), count = big.little(8), size = big.little(8),
                          begin = big.little(8);
      const bool agree = count_here == count &&
                         (directory.count == 0xFFFF || directory.count == count) &&
                         (directory.size == kAbsent32 || directory.size == size) &&
                         (directory.at == kAbsent32 || directory.at == begin);
      if (!agree) return damaged("the two end records name different directories");
      directory = {begin, size, count};
      directory_end = at;
    }
  }
  if (directory.size > kDirectoryMost || directory.count > kEntriesMost)
    return damaged("more entries than we read");
  if (directory.at > directory_end || directory.size != directory_end - directory.at) {
    return damaged("the directory does not end where the end record begins");
  }
  return directory;
}

// The fields of the zip64 extra block stand in for those that are all ones, in this order.
Result<void> apply_zip64(std::string_view extra, ZipEntry& entry, bool plain, bool packed,
                         bool header) {
  Cursor cursor(extra);
  while (cursor.left() >= 4) {
    const std::uint64_t id = cursor.little(2), size = cursor.little(2);
    Cursor block(cursor.take(size));
    if (!cursor.ok()) return damaged("an extra field runs over its end");
    if (id != 1) continue;
    if (plain) entry.plain = block.little(8);
    if (packed) entry.packed = block.little(8);
    if (header) entry.header = block.little(8);
    if (!block.ok()) return damaged("a zip64 field is cut");
    return {};
  }
  return plain || packed || header ? Result<void>(damaged("a zip64 field is missing"))
                                   : Result<void>();
}

bool is_safe_entry_name(std::string_view name) {
  if (name.empty() || name.size() > 512 || name[0] == '/' || !is_valid_utf8(name)) return false;
  if (name.find('\\') != std::string_view::npos || name.find('\0') != std::string_view::npos)
    return false;
  for (const std::string_view part : split(name, '/')) {
    if (part == "..") return false;
  }
  return true;
}

}  // namespace

Result<ZipArchive> ZipArchive::open(const FileBytes& file) {
  const auto directory = find_directory(file);
  if (!directory) return directory.error();
  const auto bytes = file.read(directory->at, static_cast<std::size_t>(directory->size));
  if (!bytes) return bytes.error();
  ZipArchive archive(file);
  if (auto read = archive.read_entries(*bytes, directory->count, directory->at); !read)
    return read.error();
  for (ZipEntry& entry : archive.entries_) {
    if (auto checked = archive.check_local(entry, directory->at); !checked) return checked.error();
  }
  if (auto checked = archive.check_layout(directory->at); !checked) return checked.error();
  return archive;
}

Result<void> ZipArchive::read_entries(std::string_view directory, std::uint64_t count,
                                      std::uint64_t directory_at) {
  Cursor cursor(directory);
  std::set<std::string> names;
  std::uint64_t unpacked = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (cursor.little(4) != kDirectorySignature)
      return damaged("entry " + std::to_string(i) + " of the directory is broken");
    cursor.take(4);
    const auto flags = static_cast<std::uint16_t>(cursor.little(2));
    const std::uint64_t method = cursor.little(2);
    cursor.take(4);
    ZipEntry entry;
    entry.crc32 = static_cast<std::uint32_t>(cursor.little(4));
    entry.packed = cursor.little(4);
    entry.plain = cursor.little(4);
    const std::uint64_t name_size = cursor.little(2), extra_size = cursor.little(2),
                        comment_size = cursor.little(2);
    const std::uint64_t disk = cursor.little(2);
    cursor.take(6);
    entry.header = cursor.little(4);
    entry.name = cursor.take(name_size);
    const std::string_view extra = cursor.take(extra_size);
    cursor.take(comment_size);
    if (!cursor.ok()) return damaged("the directory is cut");
    const std::string shown = clean_line(entry.name, 80);
    if (!is_safe_entry_name(entry.name))
      return damaged("the entry name \"" + shown + "\" is not acceptable");
    if (!names.insert(to_lower(entry.name)).second)
      return damaged("two entries are named " + shown);
    if ((flags & (kFlagEncrypted | kFlagPatch | kFlagStrong | kFlagMasked)) != 0)
      return damaged(shown + " is encrypted or a patch");
    if (disk != 0) return damaged(shown + " is on another disk");
    if (method != 0 && method != 8)
      return damaged(shown + " is packed by method " + std::to_string(method) +
                     ", which torch cannot read");
    entry.deflated = method == 8;
    if (auto wide = apply_zip64(extra, entry, entry.plain == kAbsent32, entry.packed == kAbsent32,
                                entry.header == kAbsent32);
        !wide)
      return wide;
    if (!entry.deflated && entry.packed != entry.plain)
      return damaged(shown + " is stored with two different sizes");
    // Deflate cannot do better than 1032 to 1: more is a lie, and less than that is bounded work.
    if (entry.deflated && entry.plain / kDeflateRatioMost > entry.packed)
      return damaged(shown + " declares more than its bytes can unpack to");
    if (entry.deflated && __builtin_add_overflow(unpacked, entry.plain, &unpacked))
      return damaged(shown + " has an impossible size");
    if (unpacked > kUnpackedFree && unpacked / kUnpackedRatioMost > file_->size())
      return damaged("it unpacks to more than " + human_bytes(unpacked) + ", as bombs do");
    if (entry.header >= directory_at) return damaged(shown + " begins behind the directory");
    if (entry.crc32 != 0) has_checksums_ = true;
    places_.emplace(entry.name, entries_.size());
    entries_.push_back(std::move(entry));
  }
  if (cursor.left() != 0) return damaged("the directory holds more than its entries");
  return {};
}

Result<void> ZipArchive::check_local(ZipEntry& entry, std::uint64_t directory_at) const {
  const std::string shown = clean_line(entry.name, 80);
  const auto head = file_->read(entry.header, kLocalSize);
  if (!head) return head.error();
  Cursor cursor(*head);
  if (cursor.little(4) != kLocalSignature)
    return damaged(shown + " has no local header where the directory says");
  cursor.take(2);
  const auto flags = static_cast<std::uint16_t>(cursor.little(2));
  const bool deflated = cursor.little(2) == 8;
  cursor.take(4);
  const std::uint64_t crc = cursor.little(4), packed = cursor.little(4), plain = cursor.little(4);
  const std::uint64_t name_size = cursor.little(2), extra_size = cursor.little(2);
  const auto name = file_->read(entry.header + kLocalSize, static_cast<std::size_t>(name_size));
  if (!name) return name.error();
  if (*name != entry.name || deflated != entry.deflated)
    return damaged(shown + ": local header and directory disagree");
  entry.data = entry.header + kLocalSize + name_size + extra_size;
  if (entry.data > directory_at || entry.packed > directory_at - entry.data)
    return damaged(shown + " runs into the directory");
  entry.end = entry.data + entry.packed;
  if ((flags & kFlagDescriptor) == 0) {
    const bool agree = (crc == entry.crc32) && (packed == kAbsent32 || packed == entry.packed) &&
                       (plain == kAbsent32 || plain == entry.plain);
    if (!agree) return damaged(shown + ": local header and directory disagree");
    return {};
  }
  // Behind the bytes: signature, CRC, sizes of 4 or 8 bytes each.
  const std::uint64_t room = std::min<std::uint64_t>(24, directory_at - entry.end);
  const auto tail = file_->read(entry.end, static_cast<std::size_t>(room));
  if (!tail) return tail.error();
  for (const std::size_t width : {std::size_t{4}, std::size_t{8}}) {
    Cursor descriptor(*tail);
    const bool signature = descriptor.little(4) == kDescriptorSignature;
    const bool same = descriptor.little(4) == entry.crc32 &&
                      descriptor.little(width) == entry.packed &&
                      descriptor.little(width) == entry.plain;
    if (!signature || !same || !descriptor.ok()) continue;
    entry.end += descriptor.at();
    return {};
  }
  return damaged(shown + ": data descriptor and directory disagree");
}

Result<void> ZipArchive::check_layout(std::uint64_t directory_at) const {
  std::uint64_t at = 0;
  for (const ZipEntry* entry : in_file_order()) {
    if (entry->header < at)
      return damaged(clean_line(entry->name, 80) + " overlaps the entry before it");
    if (entry->header > at)
      return damaged("bytes before " + clean_line(entry->name, 80) + " belong to no entry");
    at = entry->end;
  }
  if (at != directory_at) return damaged("bytes before the directory belong to no entry");
  return {};
}

std::vector<const ZipEntry*> ZipArchive::in_file_order() const {
  std::vector<const ZipEntry*> order;
  for (const ZipEntry& entry : entries_) order.push_back(&entry);
  std::sort(order.begin(), order.end(),
            [](const ZipEntry* a, const ZipEntry* b) { return a->header < b->header; });
  return order;
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found = places_.find(std::string(name));
  return found == places_.end() ? nullptr : &entries_[found->second];
}

namespace {

// Inflates piece by piece; stops at the declared size, so that a bomb costs no more than it says.
class Inflater {
 public:
  Inflater(std::uint64_t limit, const std::function<void(std::string_view)>& take)
      : left_(limit), take_(take) {
    ready_ = ::inflateInit2(&stream_, -MAX_WBITS) == Z_OK;
  }
  ~Inflater() {
    if (ready_) ::inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  void feed(std::string_view bytes) {
    if (!ready_ || broken_) return;
    // zlib's interface predates const.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    while (!broken_ && !ended_ && (stream_.avail_in > 0 || stream_.avail_out == 0)) {
      stream_.next_out = buffer_.data();
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      const int code = ::inflate(&stream_, Z_NO_FLUSH);
      const std::size_t got = buffer_.size() - stream_.avail_out;
      if (got > left_ || (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR))
        broken_ = true;
      else
        take_({reinterpret_cast<const char*>(buffer_.data()), got}), left_ -= got;
      ended_ = code == Z_STREAM_END;
      if (code == Z_BUF_ERROR && got == 0) break;
    }
    if (stream_.avail_in > 0) broken_ = true;  // bytes behind the end of the stream
  }
  bool whole() const { return ready_ && !broken_ && ended_ && left_ == 0; }

 private:
  z_stream stream_{};
  std::array<Bytef, 65536> buffer_{};  // a multiple of 64, as for_each_piece promises
  std::uint64_t left_;
  const std::function<void(std::string_view)>& take_;
  bool ready_ = false, broken_ = false, ended_ = false;
};

}  // namespace

Result<void> ZipArchive::read(const ZipEntry& entry, std::stop_token stop,
                              const std::function<void(std::string_view)>& take) const {
  std::uint32_t crc = 0;
  const std::function<void(std::string_view)> counted = [&](std::string_view bytes) {
    crc =
        ::crc32_gzip_refl(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    take(bytes);
  };
  const std::string shown = clean_line(entry.name, 80);
  if (entry.deflated) {
    Inflater inflater(entry.plain, counted);
    if (auto done = file_->for_each_piece(entry.data, entry.packed, stop,
                                          [&](std::string_view bytes) { inflater.feed(bytes); });
        !done)
      return done;
    if (!inflater.whole()) return damaged(shown + " does not unpack to the size it declares");
  } else if (auto done = file_->for_each_piece(entry.data, entry.packed, stop, counted); !done) {
    return done;
  }
  return check_crc(entry, crc);
}

Result<void> ZipArchive::check_crc(const ZipEntry& entry, std::uint32_t crc) const {
  if (!has_checksums_ || crc == entry.crc32) return {};
  return damaged("CRC-32 of " + clean_line(entry.name, 80) +
                 " does not match: its bytes are not those that were written");
}

}  // namespace rgt
