#include "logging/payload_log_segment.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "logging/log_error.h"

namespace ftmpi::logging {
namespace {

SegmentHeader NewHeader(const SegmentOwner& owner, std::uint32_t number, SegmentKind kind,
                        std::uint64_t capacity) {
  SegmentHeader header{};
  header.magic = kSegmentMagic;
  header.version = kSegmentVersion;
  header.header_size = kSegmentHeaderSize;
  header.job = owner.job;
  header.rank = owner.rank;
  header.segment = number;
  header.kind = kind;
  header.capacity = capacity;
  header.checksum = HeaderChecksum(header);
  return header;
}

std::vector<std::byte> HeaderPage(const SegmentHeader& header) {
  std::vector<std::byte> page(kSegmentHeaderSize);
  std::memcpy(page.data(), &header, sizeof(header));
  return page;
}

std::string AtOffset(std::uint64_t offset) { return " at offset " + std::to_string(offset); }

}  // namespace

void TrimTable::Add(const LogRecord& record) {
  if ((record.header.flags & kFlagSchedule) != 0) {
    has_schedule_ = true;
    return;
  }
  std::uint64_t& last = last_ssn_[record.destination];
  last = std::max(last, record.header.ssn);
}

bool TrimTable::Covered(const std::unordered_map<int, std::uint64_t>& trimmed) const {
  if (has_schedule_) return false;
  return std::all_of(last_ssn_.begin(), last_ssn_.end(), [&](const auto& entry) {
    const auto found = trimmed.find(entry.first);
    return found != trimmed.end() && entry.second <= found->second;
  });
}

std::unique_ptr<Segment> Segment::Format(std::unique_ptr<MappedFile> file, std::string path,
                                         const SegmentOwner& owner, std::uint32_t number) {
  std::unique_ptr<Segment> segment(new Segment);
  segment->file_ = std::move(file);
  segment->path_ = std::move(path);
  segment->number_ = number;
  const SegmentHeader header =
      NewHeader(owner, number, SegmentKind::kMemory, segment->file_->capacity());
  std::memcpy(segment->data(), &header, sizeof(header));
  segment->At(kSegmentHeaderSize)->length = 0;
  return segment;
}

std::unique_ptr<Segment> Segment::Open(Environment* environment, const std::string& path,
                                       const SegmentOwner& owner, std::uint32_t number,
                                       bool spilled, std::string* damage) {
  std::unique_ptr<Segment> segment(new Segment);
  segment->path_ = path;
  segment->number_ = number;
  segment->kind_ = spilled ? SegmentKind::kSpilled : SegmentKind::kMemory;
  segment->size_ = environment->FileSize(path);
  if (segment->size_ < kSegmentHeaderSize) {
    *damage = path + " is shorter than its header";
    return segment;
  }
  segment->file_ = environment->OpenMapped(path, spilled ? MapMode::kPrivate : MapMode::kShared);
  *damage = segment->CheckHeader(owner, spilled);
  return segment;
}

std::string Segment::CheckHeader(const SegmentOwner& owner, bool spilled) {
  const SegmentHeader& header = *this->header();
  if (header.magic != kSegmentMagic) {
    throw LogError(path_ + " is not a payload log segment; remove it or choose another directory");
  }
  if (header.version != kSegmentVersion) {
    throw LogError(path_ + " has format version " + std::to_string(header.version) +
                   ", this program reads version " + std::to_string(kSegmentVersion) +
                   "; use the ftmpi that wrote it");
  }
  if (header.checksum != HeaderChecksum(header)) return path_ + ": header checksum is wrong";
  if (header.job != owner.job) {
    throw LogError(path_ + " belongs to job " + std::to_string(header.job) + ", not to job " +
                   std::to_string(owner.job));
  }
  if (header.rank != owner.rank) {
    throw LogError(path_ + " belongs to rank " + std::to_string(header.rank) + ", not to rank " +
                   std::to_string(owner.rank));
  }
  if (header.segment != number_ || header.header_size != kSegmentHeaderSize) {
    return path_ + ": header is that of segment " + std::to_string(header.segment);
  }
  if (!spilled && (header.kind == SegmentKind::kDropped || header.kind == SegmentKind::kSpilled)) {
    kind_ = header.kind;
  }
  if (header.kind != kind_) return path_ + ": segment kind is wrong";
  if (header.end_checksum == 0) {
    return kind_ == SegmentKind::kMemory ? "" : path_ + ": segment has no end";
  }
  if (header.end_checksum != EndChecksum(header)) return path_ + ": checksum of the end is wrong";
  if (header.end < kSegmentHeaderSize || header.end > file_->allocated()) {
    return path_ + " is truncated: its records end at " + std::to_string(header.end) +
           ", the file at " + std::to_string(file_->allocated());
  }
  end_ = header.end;
  records_ = header.records;
  return spilled ? CheckTable() : "";
}

std::string Segment::CheckTable() {
  const std::uint64_t space = file_->allocated() - end_;
  if (records_ > space / sizeof(SpilledPayload) ||
      space != records_ * sizeof(SpilledPayload) + sizeof(std::uint64_t)) {
    return path_ + " is truncated: the table of payload checksums has another size";
  }
  std::uint64_t checksum;
  std::memcpy(&checksum, data() + file_->allocated() - sizeof(checksum), sizeof(checksum));
  if (checksum != XXH3_64bits_withSeed(data() + end_, records_ * sizeof(SpilledPayload),
                                       header()->end_checksum)) {
    return path_ + ": checksum of the table of payload checksums is wrong";
  }
  return "";
}

// `limit`: offset that the record must not pass.
std::string Segment::CheckRecord(std::uint64_t offset, std::uint64_t limit) {
  const LogRecord& record = *At(offset);
  const std::string where = path_ + ": record" + AtOffset(offset);
  if (record.magic != PayloadLog::kRecordMagic) return where + " is damaged: magic";
  const std::uint64_t length = record.length;
  if (length > limit - offset || record.capacity > length ||
      length != LogRecordLength(record.capacity)) {
    return where + " is damaged: length";
  }
  if (record.checksum != LogRecordChecksum(record, length)) return where + " is damaged: checksum";
  if (record.segment != number_) return where + " belongs to another segment";
  if (record.header.payload_length > record.capacity) return where + " is damaged: payload length";
  return "";
}

std::string Segment::CheckPayload(std::uint64_t offset) {
  const std::span<const SpilledPayload> table(
      reinterpret_cast<const SpilledPayload*>(data() + end_), records_);
  const auto entry = std::lower_bound(
      table.begin(), table.end(), offset,
      [](const SpilledPayload& payload, std::uint64_t at) { return payload.offset < at; });
  if (entry == table.end() || entry->offset != offset ||
      entry->checksum != PayloadChecksum(*At(offset))) {
    return path_ + ": payload of the record" + AtOffset(offset) + " is damaged";
  }
  return "";
}

bool Segment::Contains(const LogRecord* record) {
  const auto* at = reinterpret_cast<const std::byte*>(record);
  return mapped() && at >= data() && at < data() + file_->capacity();
}

SegmentScan Segment::Scan(std::uint64_t last_interval) {
  SegmentScan scan;
  const std::uint64_t limit = closed() ? end_ : file_->allocated();
  while (scan.end + (closed() ? 0 : kSegmentTail) < limit) {
    if (limit - scan.end < sizeof(LogRecord)) {
      scan.damage = path_ + ": record" + AtOffset(scan.end) + " is truncated";
      break;
    }
    LogRecord& record = *At(scan.end);
    if (!closed() && record.length == 0) return scan;  // nothing was committed here
    scan.damage = CheckRecord(scan.end, limit);
    if (scan.damage.empty() && kind_ == SegmentKind::kSpilled) {
      scan.damage = CheckPayload(scan.end);
    }
    if (!scan.damage.empty()) break;
    if (record.header.interval > last_interval) {
      scan.cut = true;
      return scan;
    }
    std::memset(reinterpret_cast<std::byte*>(&record.header) + kPersistentBytes, 0,
                sizeof(WireHeader) - kPersistentBytes);
    scan.end += record.length;
    ++scan.records;
  }
  if (scan.damage.empty() && closed() && scan.records != records_) {
    scan.damage = path_ + ": segment has " + std::to_string(scan.records) +
                  " records, its header says " + std::to_string(records_);
  }
  scan.cut = !scan.damage.empty();
  return scan;
}

void Segment::Close(std::uint64_t end, std::uint64_t records) {
  SegmentHeader& header = *this->header();
  // Killed in between, the segment counts as open: it is the last one whenever this is called.
  std::atomic_ref<std::uint64_t> end_checksum(header.end_checksum);
  end_checksum.store(0, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  header.end = end;
  header.records = records;
  end_checksum.store(EndChecksum(header), std::memory_order_release);
  end_ = end;
  records_ = records;
  trim_table_.reset();
}

std::uint64_t Segment::WriteSpilled(Environment* environment, const std::string& path,
                                    std::uint64_t end, std::uint64_t records) {
  std::vector<SpilledPayload> table;
  table.reserve(records);
  for (std::uint64_t offset = kSegmentHeaderSize; offset < end; offset += At(offset)->length) {
    table.push_back({offset, PayloadChecksum(*At(offset))});
  }
  SegmentHeader header = *this->header();
  header.kind = SegmentKind::kSpilled;
  header.checksum = HeaderChecksum(header);
  header.end = end;
  header.records = records;
  header.end_checksum = EndChecksum(header);
  const auto table_bytes = std::as_bytes(std::span(table));
  const std::uint64_t checksum =
      XXH3_64bits_withSeed(table_bytes.data(), table_bytes.size(), header.end_checksum);

  const std::string temporary = path + ".new";
  if (environment->Exists(temporary)) environment->Remove(temporary);
  try {
    const std::unique_ptr<WritableFile> file = environment->CreateWritable(temporary);
    file->Append(HeaderPage(header));
    file->Append(std::span(data() + kSegmentHeaderSize, end - kSegmentHeaderSize));
    file->Append(table_bytes);
    file->Append(std::as_bytes(std::span(&checksum, 1)));
    file->Close();
    environment->Rename(temporary, path);
  } catch (const LogError&) {
    RemoveQuietly(environment, temporary);
    throw;
  }
  return end + table_bytes.size() + sizeof(checksum);
}

void Segment::WriteStub(Environment* environment, const std::string& path,
                        const SegmentOwner& owner, std::uint32_t number, SegmentKind kind) {
  SegmentHeader header = NewHeader(owner, number, kind, kSegmentHeaderSize);
  header.end = kSegmentHeaderSize;
  header.end_checksum = EndChecksum(header);
  const std::string temporary = path + ".new";
  if (environment->Exists(temporary)) environment->Remove(temporary);
  try {
    const std::unique_ptr<WritableFile> file = environment->CreateWritable(temporary);
    file->Append(HeaderPage(header));
    file->Close();
    environment->Rename(temporary, path);
  } catch (const LogError&) {
    RemoveQuietly(environment, temporary);
    throw;
  }
}

std::unique_ptr<MappedFile> Segment::BecomeSpilled(std::string path, std::uint64_t size) {
  kind_ = SegmentKind::kSpilled;
  path_ = std::move(path);
  size_ = size;
  return std::move(file_);
}

void Segment::BecomeDropped(std::string path) {
  kind_ = SegmentKind::kDropped;
  path_ = std::move(path);
  size_ = kSegmentHeaderSize;
  end_ = kSegmentHeaderSize;
  records_ = 0;
  file_.reset();
  trim_table_.reset();
}

void Segment::Map(Environment* environment) {
  if (mapped()) return;
  std::unique_ptr<MappedFile> file = environment->OpenMapped(path_, MapMode::kPrivate);
  if (file->allocated() != size_) {
    throw LogError(path_ + " has " + std::to_string(file->allocated()) + " bytes, " +
                   std::to_string(size_) + " were written: somebody changed it");
  }
  file_ = std::move(file);
  const std::string damage = CheckTable();
  if (!damage.empty()) {
    file_.reset();
    throw LogError(damage);
  }
}

void Segment::Unmap() { file_.reset(); }

LogRecord* Segment::RecordAt(std::uint64_t offset) {
  const std::uint64_t limit = closed() ? end_ : file_->allocated();
  if (offset < kSegmentHeaderSize || offset % 64 != 0 || offset >= limit ||
      limit - offset < sizeof(LogRecord)) {
    throw LogError(path_ + ": no record" + AtOffset(offset));
  }
  std::string damage = CheckRecord(offset, limit);
  if (damage.empty() && kind_ == SegmentKind::kSpilled) damage = CheckPayload(offset);
  if (!damage.empty()) throw LogError(damage);
  return At(offset);
}

TrimTable& Segment::trim_table() {
  if (!trim_table_) {
    trim_table_ = std::make_unique<TrimTable>();
    for (std::uint64_t offset = kSegmentHeaderSize; offset < end_; offset += At(offset)->length) {
      trim_table_->Add(*At(offset));
    }
  }
  return *trim_table_;
}

}  // namespace ftmpi::logging
