// SPDX-License-Identifier: MIT
#include "core/artifact/sweep.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include <isa-l/crc.h>
#include <zlib.h>

#include "core/base/digest.h"
#include "core/base/parallel.h"

namespace rgt {
namespace {

constexpr std::size_t kPiece = 256u << 10;    // bytes: stays in a core's own cache
constexpr std::size_t kOverhang = 7;          // bytes: the rest of an element that a cut divides
constexpr std::size_t kSlots = 16;            // pieces in flight: 4 MiB
constexpr std::size_t kPiecesPerThread = 16;  // fewer are done before a thread has started
constexpr std::size_t kThreadsMost = 4;       // they saturate a memory bus

// What one piece says about one region.
struct Part {
  std::size_t region = 0;
  std::uint64_t bytes = 0;
  RegionFacts facts = {};
};

struct Slot {
  std::vector<char> bytes = {};
  std::size_t size = 0;  // without the overhang
  std::vector<Part> parts = {};
  bool filled = false;
};

// Threads take pieces in order and fill slots with them. Whoever finds the oldest slot filled, and
// nobody at it, does what must be done in order (hash, join) until it meets one that is not. So a
// single thread works alternately, two become a reader and a hasher, and nobody is started for it.
class Sweep {
 public:
  Sweep(const FileBytes& file, const std::vector<Region>& regions, SweepFor wanted,
        std::stop_token stop)
      : file_(file), regions_(regions), wanted_(wanted), stop_(std::move(stop)) {
    facts_.resize(regions.size());
    if (file.digest_wanted()) hash_.emplace();
    end_ = hash_ ? file.size() : regions.empty() ? 0 : regions.back().at + regions.back().size;
    begin_ = hash_ || regions.empty() ? 0 : regions.front().at;
    pieces_ = (end_ - begin_ + kPiece - 1) / kPiece;
    slots_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kSlots, pieces_)));
    const std::uint64_t room = std::min<std::uint64_t>(kPiece + kOverhang, end_ - begin_);
    for (Slot& slot : slots_) slot.bytes.resize(static_cast<std::size_t>(room));
  }

  Result<std::vector<RegionFacts>> run() {
    const std::uint64_t useful = std::max<std::uint64_t>(1, pieces_ / kPiecesPerThread);
    run_in_parallel(std::min<std::size_t>(useful, kThreadsMost), [this] { work(); });
    if (failure_) return *failure_;
    if (hash_) file_.keep_digest(hash_->finish());
    return std::move(facts_);
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      room_.wait(lock, [this] { return done() || taken_ - joined_ < slots_.size(); });
      if (done()) return;
      const std::uint64_t piece = taken_++;
      Slot& slot = slots_[static_cast<std::size_t>(piece % slots_.size())];
      lock.unlock();
      auto filled = fill(slot, piece);
      lock.lock();
      if (!filled) failure_ = filled.error();
      slot.filled = true;
      join_filled(lock);
      if (done()) room_.notify_all();
    }
  }
  bool done() const { return failure_.has_value() || taken_ == pieces_; }

  void join_filled(std::unique_lock<std::mutex>& lock) {
    if (joining_) return;
    joining_ = true;
    while (joined_ < taken_ && !failure_) {
      Slot& slot = slots_[static_cast<std::size_t>(joined_ % slots_.size())];
      if (!slot.filled) break;
      lock.unlock();
      if (hash_) hash_->update(slot.bytes.data(), slot.size);
      for (const Part& part : slot.parts) join(part);
      lock.lock();
      slot.filled = false;
      ++joined_;
      // Waking for every slot would cost more than filling it.
      if (taken_ - joined_ <= slots_.size() / 2) room_.notify_all();
    }
    joining_ = false;
  }

  void join(const Part& part) {
    RegionFacts& whole = facts_[part.region];
    whole.crc32 = static_cast<std::uint32_t>(
        ::crc32_combine(whole.crc32, part.facts.crc32, static_cast<z_off_t>(part.bytes)));
    whole.values.not_finite += part.facts.values.not_finite;
    whole.values.all_zero &= part.facts.values.all_zero;
  }

  Result<void> fill(Slot& slot, std::uint64_t piece) const {
    if (stop_.stop_requested())
      return Error{Code::cancelled, "stopped while reading", "call again"};
    const std::uint64_t at = begin_ + piece * kPiece;
    slot.size = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, end_ - at));
    const std::size_t with_overhang =
        static_cast<std::size_t>(std::min<std::uint64_t>(slot.size + kOverhang, end_ - at));
    if (auto read = file_.read_into(at, slot.bytes.data(), with_overhang); !read) return read;
    slot.parts.clear();
    const std::string_view bytes(slot.bytes.data(), with_overhang);
    auto region = std::partition_point(regions_.begin(), regions_.end(),
                                       [&](const Region& r) { return r.at + r.size <= at; });
    for (; region != regions_.end() && region->at < at + slot.size; ++region) {
      const std::uint64_t from = std::max(region->at, at);
      const std::uint64_t to = std::min(region->at + region->size, at + slot.size);
      if (from >= to) continue;
      Part part{static_cast<std::size_t>(region - regions_.begin()), to - from, {}};
      const std::string_view own =
          bytes.substr(static_cast<std::size_t>(from - at), static_cast<std::size_t>(to - from));
      if (wanted_.crc32)
        part.facts.crc32 =
            ::crc32_gzip_refl(0, reinterpret_cast<const unsigned char*>(own.data()), own.size());
      if (wanted_.values) part.facts.values = scan_part(*region, from, to, at, bytes);
      slot.parts.push_back(part);
    }
    return {};
  }

  // The elements that begin between `from` and `to`: the last may end in the overhang.
  static ValueFacts scan_part(const Region& region, std::uint64_t from, std::uint64_t to,
                              std::uint64_t at, std::string_view bytes) {
    if (region.blocks.size > 0) return scan_blocks(region, from, to, at, bytes);
    const std::uint64_t width = element_width(region.type);
    const auto next_element = [&](std::uint64_t place) {
      return region.at + (place - region.at + width - 1) / width * width;
    };
    const std::uint64_t begin = std::min(next_element(from), region.at + region.size);
    const std::uint64_t end = std::min(next_element(to), region.at + region.size);
    return scan_values(
        region.type, region.big_endian,
        bytes.substr(static_cast<std::size_t>(begin - at), static_cast<std::size_t>(end - begin)));
  }

  // The same for the scales in blocks; zeros are looked for in all of it.
  static ValueFacts scan_blocks(const Region& region, std::uint64_t from, std::uint64_t to,
                                std::uint64_t at, std::string_view bytes) {
    const std::uint64_t width = element_width(region.type), block = region.blocks.size;
    ValueFacts facts = scan_values(
        ElementType::other, false,
        bytes.substr(static_cast<std::size_t>(from - at), static_cast<std::size_t>(to - from)));
    for (std::size_t i = 0; i < region.blocks.count; ++i) {
      const std::uint64_t first = region.at + region.blocks.scales[i];
      std::uint64_t scale =
          from <= first ? first : first + (from - first + block - 1) / block * block;
      for (; scale < to && scale + width <= region.at + region.size; scale += block) {
        facts.not_finite += scan_values(region.type, region.big_endian,
                                        bytes.substr(static_cast<std::size_t>(scale - at), width))
                                .not_finite;
      }
    }
    return facts;
  }

  const FileBytes& file_;
  const std::vector<Region>& regions_;
  const SweepFor wanted_;
  const std::stop_token stop_;
  std::uint64_t begin_ = 0, end_ = 0, pieces_ = 0;

  std::mutex mutex_ = {};
  std::condition_variable room_ = {};
  std::vector<Slot> slots_ = {};
  std::uint64_t taken_ = 0, joined_ = 0;  // pieces
  bool joining_ = false;                  // somebody is at the oldest slot
  std::optional<Error> failure_ = {};

  // Only whoever joins touches these.
  std::vector<RegionFacts> facts_ = {};
  std::optional<Sha256> hash_ = {};
};

}  // namespace

Result<std::vector<RegionFacts>> sweep(const FileBytes& file, const std::vector<Region>& regions,
                                       SweepFor wanted, std::stop_token stop) {
  return Sweep(file, regions, wanted, std::move(stop)).run();
}

}  // namespace rgt
