// SPDX-License-Identifier: MIT
// TFRecord files, and TensorBoard's event files, which are made of them: length, CRC-32C of the
// length, bytes, CRC-32C of the bytes. A file that is still written, or whose writer was killed,
// ends within a record: what stands before it is whole. Source: tensorflow/core/lib/io/
// record_writer.h, core/util/event.proto, core/framework/summary.proto.
#include <algorithm>

#include "core/artifact/byte_window.h"
#include "core/artifact/crc32c.h"
#include "core/artifact/format.h"
#include "core/artifact/value_scan.h"
#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::uint64_t kEventMost = 64u << 20;  // bytes: larger ones (graphs) are not looked into
constexpr std::uint64_t kStopEvery = 1024;       // records between two looks at the stop token

using Wire = ProtoField::Wire;

struct Events {
  std::uint64_t count = 0, broken = 0, values = 0, not_finite = 0;
  std::int64_t last_step = 0;
  bool has_step = false, has_version = false;
  std::string first_not_finite = {};
};

class EventReader {
 public:
  EventReader(ByteWindow& window, Events& events) : window_(window), events_(events) {}

  void read(std::uint64_t at, std::uint64_t size) {
    ++events_.count;
    ProtoWalk event(window_, at, size);
    while (const auto field = event.next()) {
      if (field->number == 2 && field->wire == Wire::varint) step(field->value);
      if (field->number == 3 && event.text(*field, 12).starts_with("brain.Event:"))
        events_.has_version = true;
      if (field->number == 5 && field->wire == Wire::bytes) read_summary(*field);
    }
    if (!event.ok()) whole_ = false;
    events_.broken += !whole_;
    whole_ = true;
  }

 private:
  void step(std::uint64_t value) {
    const auto number = static_cast<std::int64_t>(value);
    events_.last_step = events_.has_step ? std::max(events_.last_step, number) : number;
    events_.has_step = true;
  }

  void read_summary(const ProtoField& field) {
    ProtoWalk summary(window_, field);
    while (const auto value = summary.next()) {
      if (value->number == 1 && value->wire == Wire::bytes) read_value(*value);
    }
    whole_ &= summary.ok();
  }

  void read_value(const ProtoField& field) {
    ProtoWalk value(window_, field);
    std::string tag;
    std::uint64_t not_finite = 0;
    while (const auto part = value.next()) {
      if (part->number == 1) tag = value.text(*part, 200);
      if (part->number == 2 && part->wire == Wire::fixed32)
        not_finite += special(ElementType::f32, part->value, 4);
      if (part->number == 8 && part->wire == Wire::bytes) not_finite += in_tensor(*part);
    }
    whole_ &= value.ok();
    ++events_.values;
    if (not_finite > 0 && events_.not_finite == 0) events_.first_not_finite = clean_line(tag, 80);
    events_.not_finite += not_finite;
  }

  static std::uint64_t special(ElementType type, std::uint64_t bits, int width) {
    std::string bytes;
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(bits >> (8 * i));
    return scan_values(type, false, bytes).not_finite;
  }

  // TensorFlow's TensorProto: 1 type, 4 bytes, 5 floats, 6 doubles.
  std::uint64_t in_tensor(const ProtoField& field) {
    ProtoWalk tensor(window_, field);
    ElementType content_type = ElementType::other;
    std::uint64_t not_finite = 0;
    while (const auto part = tensor.next()) {
      if (part->number == 1)
        content_type = part->value == 1   ? ElementType::f32
                       : part->value == 2 ? ElementType::f64
                                          : ElementType::other;
      if (part->number == 4) not_finite += in_bytes(content_type, *part);
      if (part->number != 5 && part->number != 6) continue;
      const ElementType type = part->number == 5 ? ElementType::f32 : ElementType::f64;
      not_finite += part->wire == Wire::bytes
                        ? in_bytes(type, *part)
                        : special(type, part->value, part->number == 5 ? 4 : 8);
    }
    whole_ &= tensor.ok();
    return not_finite;
  }

  std::uint64_t in_bytes(ElementType type, const ProtoField& field) {
    if (field.wire != Wire::bytes) return 0;
    ValueScan scan(type);
    for (std::uint64_t done = 0; done < field.size;) {
      const std::string_view piece = window_.view(
          field.at + done,
          static_cast<std::size_t>(std::min<std::uint64_t>(field.size - done, ByteWindow::kMost)));
      if (piece.empty()) break;
      scan.feed(piece);
      done += piece.size();
    }
    return scan.not_finite();
  }

  ByteWindow& window_;
  Events& events_;
  bool whole_ = true;  // the event at hand
};

class RecordReader {
 public:
  RecordReader(const FileBytes& file, Depth depth, std::stop_token stop, ArtifactReport& report)
      : file_(file),
        window_(file),
        depth_(depth),
        stop_(std::move(stop)),
        report_(report),
        judgement_(report) {}

  Result<void> read() {
    std::uint64_t at = 0;
    while (at < file_.size() && !judgement_.failed()) {
      if (records_ % kStopEvery == 0 && stop_.stop_requested())
        return Error{Code::cancelled, "stopped while reading", "call again"};
      if (auto done = read_record(at); !done) return done;
      if (window_.trouble()) return *window_.trouble();
    }
    conclude();
    return {};
  }

 private:
  std::string where(std::uint64_t at) const {
    return "record " + std::to_string(records_ + 1) + ", at byte " + std::to_string(at);
  }
  std::string up_to_here() const {
    return std::to_string(records_) + " whole records stand before it" +
           (events_.has_step ? ", the last of step " + std::to_string(events_.last_step) : "");
  }
  void torn(std::uint64_t at) {
    judgement_.fail(ArtifactVerdict::incomplete,
                    where(at) + ", is torn: its writer is at work or was killed; " + up_to_here());
  }

  Result<void> read_record(std::uint64_t& at) {
    constexpr std::uint64_t kHead = 12, kTail = 4;
    const std::uint64_t left = file_.size() - at;
    if (left < kHead) return torn(at), Result<void>();
    const std::string_view head = window_.view(at, kHead);
    Cursor cursor(head);
    const std::uint64_t size = cursor.little(8);
    if (cursor.little(4) != masked_crc32c(crc32c(head.substr(0, 8)))) {
      judgement_.fail(ArtifactVerdict::corrupt,
                      where(at) + ": the CRC-32C of its length does not match; " + up_to_here());
      return {};
    }
    if (size > left - kHead || left - kHead - size < kTail) return torn(at), Result<void>();
    if (depth_ >= Depth::checksums) {
      if (auto done = check_bytes(at, size); !done || judgement_.failed()) return done;
    }
    if (size <= kEventMost) EventReader(window_, events_).read(at + kHead, size);
    ++records_;
    at += kHead + size + kTail;
    return {};
  }

  Result<void> check_bytes(std::uint64_t at, std::uint64_t size) {
    std::uint32_t crc = 0;
    if (size <= ByteWindow::kMost) {
      crc = crc32c(window_.view(at + 12, static_cast<std::size_t>(size)));
    } else if (auto done = file_.for_each_piece(
                   at + 12, size, stop_, [&](std::string_view bytes) { crc = crc32c(bytes, crc); });
               !done) {
      return done;
    }
    if (Cursor(window_.view(at + 12 + size, 4)).little(4) == masked_crc32c(crc)) return {};
    judgement_.fail(ArtifactVerdict::corrupt,
                    where(at) + ": its CRC-32C does not match; " + up_to_here());
    return {};
  }

  void conclude() {
    // The first record of an event file says so; a plain one holds anything.
    const bool events = events_.has_version;
    report_.format = events ? "tf_events" : "tfrecord";
    report_.reader = report_.format + "/1";
    if (events && events_.broken > 0 && !judgement_.failed())
      judgement_.fail(ArtifactVerdict::corrupt,
                      std::to_string(events_.broken) + " of its events are no messages");
    if (events && events_.not_finite > 0) {
      judgement_.warn(std::to_string(events_.not_finite) +
                      " values are NaN or infinite, the first in " + events_.first_not_finite);
    }
    if (judgement_.failed()) return;
    judgement_.info(std::to_string(records_) + (events ? " events, " : " records") +
                    (events ? std::to_string(events_.values) + " values" : "") +
                    (events && events_.has_step
                         ? ", the last of step " + std::to_string(events_.last_step)
                         : ""));
    judgement_.reached(depth_ < Depth::checksums           ? Depth::structure
                       : depth_ < Depth::values || !events ? Depth::checksums
                                                           : Depth::values);
    report_.verdict = ArtifactVerdict::ok;
  }

  const FileBytes& file_;
  ByteWindow window_;
  const Depth depth_;
  const std::stop_token stop_;
  ArtifactReport& report_;
  Judgement judgement_;
  std::uint64_t records_ = 0;
  Events events_ = {};
};

}  // namespace

bool begins_like_tfrecord(std::string_view head) {
  if (head.size() < 12) return false;
  Cursor cursor(head.substr(8));
  return cursor.little(4) == masked_crc32c(crc32c(head.substr(0, 8)));
}

Result<void> read_tfrecord(const FileBytes& file, Depth depth, std::stop_token stop,
                           ArtifactReport& report) {
  report.format = "tfrecord";
  report.reader = "tfrecord/1";
  if (const auto head = file.read(0, 2); head && *head == "\x1F\x8B") {
    Judgement(report).fail(ArtifactVerdict::unverified,
                           "it is packed by gzip: unpack it to prove it");
    return {};
  }
  return RecordReader(file, depth, std::move(stop), report).read();
}

}  // namespace rgt
