// One segment of the payload log: a file, its records, what is still needed of it. Policy (limits,
// which segment to spill, order of steps on disk) is PayloadLog's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "logging/environment.h"
#include "logging/payload_log_base.h"
#include "logging/payload_log_format.h"

namespace ftmpi::logging {

// An end of the log that a reader found: offset behind the last good record, their number, and the
// reason why it ends there ("" for a proper end).
struct SegmentScan {
  std::uint64_t end = kSegmentHeaderSize;
  std::uint64_t records = 0;
  std::string damage;
  bool cut = false;  // ended in front of a record of a later interval, or by damage
};

// The greatest SSN per destination in a segment.
class TrimTable {
 public:
  void Add(const LogRecord& record);
  // `trimmed`: per destination the SSN up to which nothing is needed.
  [[nodiscard]] bool Covered(const std::unordered_map<int, std::uint64_t>& trimmed) const;

 private:
  std::unordered_map<int, std::uint64_t> last_ssn_;
  bool has_schedule_ = false;  // a record that no SSN names: only TrimBefore gives it back
};

class Segment {
 public:
  // Makes `file` (allocated beyond the header) an open, empty segment. The caller gives it its
  // name.
  static std::unique_ptr<Segment> Format(std::unique_ptr<MappedFile> file, std::string path,
                                         const SegmentOwner& owner, std::uint32_t number);
  // Opens the segment of that number at `path`: in the node-local directory (of any kind: kSpilled
  // is a stub there) or, `spilled`, in the spill directory. Throws LogError when it is another
  // job's, rank's, version's or no segment; otherwise `damage` says what is wrong with its header,
  // or is "".
  static std::unique_ptr<Segment> Open(Environment* environment, const std::string& path,
                                       const SegmentOwner& owner, std::uint32_t number,
                                       bool spilled, std::string* damage);

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] SegmentKind kind() const { return kind_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool mapped() const { return file_ != nullptr; }
  [[nodiscard]] std::byte* data() { return file_->data(); }
  [[nodiscard]] MappedFile& file() { return *file_; }
  // Bytes that the file takes.
  [[nodiscard]] std::uint64_t size() const { return file_ ? file_->allocated() : size_; }
  [[nodiscard]] std::uint64_t end() const { return end_; }
  [[nodiscard]] std::uint64_t records() const { return records_; }
  [[nodiscard]] bool closed() const { return end_ != 0; }
  [[nodiscard]] bool Contains(const LogRecord* record);

  void SetPath(std::string path) { path_ = std::move(path); }

  // Walks the records and checks each (a spilled one's payload too); stops at the end, at damage,
  // or in front of a record of an interval > last_interval. Clears the records' transmission
  // fields.
  SegmentScan Scan(std::uint64_t last_interval);
  // Writes (again) where the segment ends.
  void Close(std::uint64_t end, std::uint64_t records);

  // Writes the segment, closed and mapped, to `path` in the spilled form with the given end.
  // Returns the file's size. A temporary file is removed when it fails.
  std::uint64_t WriteSpilled(Environment* environment, const std::string& path, std::uint64_t end,
                             std::uint64_t records);
  // Writes a stub, a file that says that this segment was dropped or spilled; it replaces `path`.
  static void WriteStub(Environment* environment, const std::string& path,
                        const SegmentOwner& owner, std::uint32_t number, SegmentKind kind);

  // After WriteSpilled: hands the memory out; the segment is now the file at `path`.
  std::unique_ptr<MappedFile> BecomeSpilled(std::string path, std::uint64_t size);
  // After WriteStub(kDropped).
  void BecomeDropped(std::string path);
  // Spilled segments only: map for reading (private), forget the mapping.
  void Map(Environment* environment);
  void Unmap();

  // The record at `offset`, checked as far as the walk needs; throws LogError when there is none.
  LogRecord* RecordAt(std::uint64_t offset);

  // Built by the first call (a walk over the records).
  TrimTable& trim_table();

  int pins = 0;
  bool trimmed = false;  // nothing in it is needed any more

 private:
  Segment() = default;
  [[nodiscard]] std::string CheckHeader(const SegmentOwner& owner, bool spilled);
  [[nodiscard]] std::string CheckRecord(std::uint64_t offset, std::uint64_t limit);
  [[nodiscard]] std::string CheckPayload(std::uint64_t offset);
  [[nodiscard]] std::string CheckTable();
  [[nodiscard]] SegmentHeader* header() { return reinterpret_cast<SegmentHeader*>(data()); }
  [[nodiscard]] LogRecord* At(std::uint64_t offset) {
    return reinterpret_cast<LogRecord*>(data() + offset);
  }

  std::unique_ptr<MappedFile> file_;
  std::string path_;
  std::uint32_t number_ = 0;
  SegmentKind kind_ = SegmentKind::kMemory;
  std::uint64_t size_ = 0;     // of the file while it isn't mapped
  std::uint64_t end_ = 0;      // 0: open
  std::uint64_t records_ = 0;  // of a closed segment
  std::unique_ptr<TrimTable> trim_table_;
};

}  // namespace ftmpi::logging
