#include "logging/event_log.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "logging/environment.h"
#include "logging/event_log_format.h"
#include "logging/log_error.h"

namespace ftmpi::logging {
namespace {

constexpr std::uint64_t kFirstChunk = 64 << 10;
constexpr std::uint64_t kLargestChunk = 4 << 20;
constexpr std::size_t kReadRecords = 4096;  // records that are read at a time
constexpr std::uint64_t kPageSize = 4096;

class MappedEventLog final : public EventLog {
 public:
  MappedEventLog(Environment* environment, const EventLogOptions& options)
      : environment_(environment),
        path_(JoinPath(options.directory, FileName(options.rank, options.epoch))) {
    if (environment_->Exists(path_)) {
      throw LogError(path_ + " exists: the directory holds the event log of another run; recover " +
                     "that run, remove its files, or set FT_LOCAL to another directory");
    }
    const std::string temporary = path_ + ".new";
    if (environment_->Exists(temporary)) environment_->Remove(temporary);
    file_ = environment_->CreateMapped(temporary, kFirstChunk);
    try {
      file_->Allocate(kFirstChunk);
      file_->Populate(0, kFirstChunk);
      const EventLogHeader header = MakeEventLogHeader(kEventLogMagic, options);
      std::memcpy(file_->data(), &header, sizeof(header));
      seed_ = header.checksum;
      environment_->Rename(temporary, path_);
    } catch (const LogError&) {
      RemoveQuietly(environment_, temporary);
      throw;
    }
    SetPointers(0);
  }

  void Append(const Determinant& determinant) override {
    if (next_ == end_) [[unlikely]]
      Grow();
    EventRecord* const record = next_;
    record->determinant = determinant;
    const std::uint64_t checksum = EventRecordChecksum(determinant, seed_ + count_);
    std::atomic_ref<std::uint64_t>(record->checksum).store(checksum, std::memory_order_release);
    ++next_;
    ++count_;
  }

  std::uint64_t record_count() const override { return count_; }

  void Trim(std::uint64_t records, std::uint64_t interval, std::uint64_t csn) override {
    records = std::min(records, count_);
    if (records <= trimmed_) return;
    WriteEventLogTrim(environment_, path_, seed_, {records, interval, csn});
    // Whole pages, from the one in which the last trim ended; never the header's.
    const auto offset_of = [](std::uint64_t record) {
      return sizeof(EventLogHeader) + record * sizeof(EventRecord);
    };
    const std::uint64_t begin = offset_of(trimmed_) / kPageSize * kPageSize;
    file_->Discard(std::max(begin, kPageSize), offset_of(records));
    trimmed_ = records;
  }

  void Remove() override {
    environment_->Remove(path_);
    const std::string trim = EventLogTrimPath(path_);
    if (environment_->Exists(trim)) environment_->Remove(trim);
  }

 private:
  void SetPointers(std::uint64_t used) {
    auto* const records = reinterpret_cast<EventRecord*>(file_->data() + sizeof(EventLogHeader));
    next_ = records + used;
    end_ = records + (file_->allocated() - sizeof(EventLogHeader)) / sizeof(EventRecord);
  }

  void Grow() {
    const std::uint64_t before = file_->allocated();
    const std::uint64_t size = before + std::min(before, kLargestChunk);
    if (file_->capacity() < size) file_->Remap(size);
    SetPointers(count_);  // the mapping may have moved, also when the next step fails
    file_->Allocate(size);
    file_->Populate(before, size);
    SetPointers(count_);
  }

  Environment* const environment_;
  const std::string path_;
  std::unique_ptr<MappedFile> file_;
  std::uint64_t seed_ = 0;
  EventRecord* next_ = nullptr;
  EventRecord* end_ = nullptr;
  std::uint64_t count_ = 0;
  std::uint64_t trimmed_ = 0;
};

}  // namespace

std::string EventLog::FileName(int rank, std::uint32_t epoch) {
  return "rank-" + std::to_string(rank) + ".events-" + std::to_string(epoch);
}

std::unique_ptr<EventLog> EventLog::Create(Environment* environment,
                                           const EventLogOptions& options) {
  return std::make_unique<MappedEventLog>(environment, options);
}

EventLogReader::EventLogReader(Environment* environment, const std::string& path)
    : path_(path), file_(environment->OpenReadable(path)) {
  const EventLogHeader header = ReadEventLogHeader(*file_, path, kEventLogMagic);
  header_ = ContentsOf(header);
  seed_ = header.checksum;
}

EventLogReader::~EventLogReader() = default;

std::vector<Determinant> EventLogReader::Read(std::uint64_t from, std::size_t limit) {
  std::vector<Determinant> determinants;
  // By pread, not mapped: a file that somebody cuts meanwhile is then an early end, not a SIGBUS.
  std::vector<EventRecord> records;
  while (determinants.size() < limit) {
    records.resize(std::min(kReadRecords, limit - determinants.size()));
    const std::uint64_t first = from + determinants.size();
    const std::size_t got = file_->ReadAt(sizeof(EventLogHeader) + first * sizeof(EventRecord),
                                          std::as_writable_bytes(std::span(records))) /
                            sizeof(EventRecord);
    for (std::size_t i = 0; i < got; ++i) {
      if (records[i].checksum == 0) return determinants;  // not committed yet
      // The writer may have stored the checksum behind the determinant while both were copied, but
      // never the other way round on the way here: what was copied first may be the older part.
      // Such a record is seen whole when it is read again.
      if (records[i].checksum != EventRecordChecksum(records[i].determinant, seed_ + first + i)) {
        EventRecord again;
        const std::size_t bytes =
            file_->ReadAt(sizeof(EventLogHeader) + (first + i) * sizeof(EventRecord),
                          std::as_writable_bytes(std::span(&again, 1)));
        if (bytes != sizeof(again) ||
            again.checksum != EventRecordChecksum(again.determinant, seed_ + first + i)) {
          throw LogError(path_ + " is damaged: record " + std::to_string(first + i));
        }
        records[i] = again;
      }
      if (!IsEventKind(records[i].determinant.kind) || records[i].determinant.rank < 0) {
        throw LogError(path_ + ": record " + std::to_string(first + i) +
                       " is of an unknown kind; use the ftmpi that wrote it");
      }
      determinants.push_back(records[i].determinant);
    }
    if (got < records.size()) break;
  }
  return determinants;
}

EventLogContents ReadEventLogRange(Environment* environment, const std::string& path,
                                   std::uint64_t from, std::size_t limit) {
  EventLogReader reader(environment, path);
  EventLogContents contents = reader.header();
  contents.determinants = reader.Read(from, limit);
  return contents;
}

EventLogContents ReadEventLog(Environment* environment, const std::string& path) {
  const std::unique_ptr<ReadableFile> file = environment->OpenReadable(path);
  const EventLogHeader header = ReadEventLogHeader(*file, path, 0);
  if (header.magic == kEventBlocksMagic) return ReadEventBlocks(environment, path);
  EventLogContents contents = ContentsOf(header);
  contents.trim = ReadEventLogTrim(environment, path, header.checksum);
  std::vector<EventRecord> records(kReadRecords);
  std::uint64_t number = contents.trim.records;
  bool ended = false;
  for (;;) {
    const std::size_t bytes = file->ReadAt(sizeof(EventLogHeader) + number * sizeof(EventRecord),
                                           std::as_writable_bytes(std::span(records)));
    const std::size_t got = bytes / sizeof(EventRecord);
    for (std::size_t i = 0; i < got; ++i, ++number) {
      const EventRecord& record = records[i];
      if (record.checksum == 0) {
        ended = true;
        continue;
      }
      std::string wrong;
      if (ended) {
        wrong = " follows a record that was not committed";
      } else if (record.checksum !=
                 EventRecordChecksum(record.determinant, header.checksum + number)) {
        wrong = " has a wrong checksum";
      } else if (!IsEventKind(record.determinant.kind) || record.determinant.rank < 0) {
        wrong = " is of an unknown kind";
      }
      if (!wrong.empty()) {
        contents.damaged = path;
        contents.damaged.append(": record ").append(std::to_string(number)).append(wrong);
        return contents;
      }
      contents.determinants.push_back(record.determinant);
    }
    if (got < records.size()) return contents;
  }
}

}  // namespace ftmpi::logging
