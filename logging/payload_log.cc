#include "logging/payload_log.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "logging/log_error.h"
#include "logging/payload_log_files.h"

namespace ftmpi::logging {
namespace {

constexpr std::uint64_t kMinimumMemory = 32 << 10;
constexpr std::uint64_t kMinimumSegment = 2 * kPageSize;
constexpr std::uint64_t kGrowthStep = 2 << 20;    // a segment grows by so much
constexpr std::uint64_t kPrepareStep = 64 << 10;  // PrepareAhead gets so much at a time
constexpr std::uint64_t kPrepareGoal = 8 << 20;   // and keeps so much ready

}  // namespace

SegmentedPayloadLog::SegmentedPayloadLog(Environment* environment, const PayloadLogOptions& options)
    : environment_(environment), options_(options), owner_{options.job, options.rank} {
  if (options_.rank < 0) {
    throw LogError("payload log: rank " + std::to_string(options_.rank) + " is negative");
  }
  if (options_.memory < kMinimumMemory) {
    throw LogError("FT_LOG_MEMORY=" + std::to_string(options_.memory) +
                   " bytes is too small for a payload log: at least " +
                   std::to_string(kMinimumMemory) + " are needed");
  }
  // Several segments must fit into the limit, so that one can be filled while another is spilled.
  segment_size_ = std::min(options_.segment_size, options_.memory / 4) / kPageSize * kPageSize;
  segment_size_ = std::clamp(segment_size_, kMinimumSegment, kMaximumSegmentCapacity);
  growth_step_ = std::min(segment_size_, kGrowthStep);
}

void SegmentedPayloadLog::Start(const ChannelCounts& before) {
  for (const std::string& name : environment_->List(options_.directory)) {
    if (ParseSegmentFileName(name, options_.rank)) {
      throw LogError(JoinPath(options_.directory, name) +
                     " exists: the directory holds the payload log of another run; recover that "
                     "run, remove its files, or set FT_LOCAL to another directory");
    }
    if (IsLeftover(name, options_.rank)) environment_->Remove(JoinPath(options_.directory, name));
  }
  if (!options_.spill_directory.empty()) {
    for (const std::string& name : environment_->List(options_.spill_directory)) {
      if (ParseSpillFileName(name, options_.job, options_.rank)) {
        throw LogError(JoinPath(options_.spill_directory, name) +
                       " exists: an earlier run of this job spilled it; recover that run or remove "
                       "its files");
      }
    }
  }
  base_.messages = before;
  if (!before.empty()) WritePayloadLogBase(environment_, options_.directory, owner_, base_);
  OpenSegment(0);
}

// --- Appending ---

LogRecord* SegmentedPayloadLog::ReserveSlow(std::uint64_t capacity, int destination) {
  if (capacity > kMaximumSegmentCapacity - 2 * kSegmentHeaderSize) {
    throw LogError("a message of " + std::to_string(capacity) +
                   " bytes is too large for the payload log; the limit is 1 TiB");
  }
  const std::uint64_t length = LogRecordLength(capacity);
  if (current_ == nullptr || !Extend(Offset() + length + kSegmentTail)) OpenSegment(length);
  return Reserve(capacity, destination);
}

void SegmentedPayloadLog::UpdateEnd() {
  segment_end_ = current_->data() + current_->file().allocated() - kSegmentTail;
}

// Gives the current segment at least `size` bytes, in whole steps where the limit allows. False:
// the segment can't be that large, or there is no memory; then it is better to spill a whole
// segment and use its memory again for the next one.
bool SegmentedPayloadLog::Extend(std::uint64_t size) {
  MappedFile& file = current_->file();
  const std::uint64_t before = file.allocated();
  if (size > file.capacity()) return false;
  if (size <= before) return true;
  std::uint64_t target = std::min(file.capacity(), RoundUp(size, growth_step_));
  if (!Fits(target - before)) target = std::min(file.capacity(), RoundUp(size, kPageSize));
  if (!Fits(target - before)) return false;
  try {
    file.Allocate(target);
  } catch (const LogError& error) {
    if (error.error_number() != ENOSPC) throw;
    return false;
  }
  file.Populate(before, target);
  UpdateEnd();
  return true;
}

void SegmentedPayloadLog::CloseCurrent() {
  if (current_ == nullptr) return;
  current_->Close(Offset(), record_count_ - current_first_record_);
  current_ = nullptr;
  next_ = segment_end_ = nullptr;
}

// A file that has, or can get, `need` bytes.
SegmentedPayloadLog::Spare SegmentedPayloadLog::NewFile(std::uint64_t need) {
  const std::uint64_t capacity = std::max(segment_size_, need);
  for (;;) {
    // Memory that was used before needs no page faults. Not a much larger file: it would be lost to
    // the messages that need it.
    const auto fits = [&](const Spare& spare) {
      return spare.file->capacity() >= need && spare.file->capacity() / 2 <= capacity &&
             (spare.file->allocated() >= need || Fits(need - spare.file->allocated()));
    };
    auto best = spares_.end();
    for (auto spare = spares_.begin(); spare != spares_.end(); ++spare) {
      if (fits(*spare) &&
          (best == spares_.end() || spare->file->allocated() > best->file->allocated())) {
        best = spare;
      }
    }
    if (best != spares_.end()) {
      Spare spare = std::move(*best);
      spares_.erase(best);
      return spare;
    }
    if (Fits(need)) break;
    if (!FreeSomething()) ThrowFull(need, NothingToSpill());
  }
  Spare spare;
  spare.path = JoinPath(options_.directory, SpareFileName(options_.rank, ++last_spare_));
  spare.file = environment_->CreateMapped(spare.path, capacity);
  return spare;
}

void SegmentedPayloadLog::OpenSegment(std::uint64_t length) {
  if (last_number_ == kMaximumSegmentNumber) {
    throw LogError("the payload log of rank " + std::to_string(options_.rank) + " has " +
                   std::to_string(last_number_) + " segments, the most that it can have");
  }
  const std::uint64_t need =
      RoundUp(kSegmentHeaderSize + std::max<std::uint64_t>(length, 64) + kSegmentTail, kPageSize);
  if (need > options_.memory) {
    throw LogError("a message needs " + std::to_string(need) +
                   " bytes in the payload log, FT_LOG_MEMORY=" + std::to_string(options_.memory) +
                   " allows less; raise FT_LOG_MEMORY");
  }
  CloseCurrent();  // from here on it can be spilled
  Spare spare = NewFile(need);
  const std::uint32_t number = last_number_ + 1;
  const std::string path = InMemoryPath(number);
  std::unique_ptr<Segment> segment;
  try {
    const std::uint64_t before = spare.file->allocated();
    if (before < need) {
      std::uint64_t target = std::min(spare.file->capacity(), RoundUp(need, growth_step_));
      if (!Fits(target)) target = need;
      Allocate(spare.file.get(), target);
      spare.file->Populate(before, spare.file->allocated());
    }
    segment = Segment::Format(std::move(spare.file), path, owner_, number);
    environment_->Rename(spare.path, path);
  } catch (const LogError&) {
    RemoveQuietly(environment_, spare.path);
    throw;
  }
  last_number_ = number;
  prepared_ = false;
  current_ = segment.get();
  segments_.push_back(std::move(segment));
  current_first_record_ = record_count_;
  segment_ = number;
  next_ = current_->data() + kSegmentHeaderSize;
  UpdateEnd();
}

bool SegmentedPayloadLog::PrepareAhead() {
  if (current_ == nullptr || prepared_) return false;
  const std::uint64_t ready = current_->file().allocated() - Offset();
  if (ready >= kPrepareGoal) return false;
  try {
    if (current_->file().allocated() < current_->file().capacity()) {
      prepared_ = !PrepareStep(&current_->file());
      UpdateEnd();
    } else {
      // The current segment is complete: the next one is made ready as a spare.
      if (spares_.empty() && Fits(kPrepareStep)) AddSpare();
      prepared_ = spares_.empty() || ready + spares_.back().file->allocated() >= kPrepareGoal ||
                  !PrepareStep(spares_.back().file.get());
    }
  } catch (const LogError&) {
    prepared_ = true;  // full: an error when the memory is needed, if it still is one then
  }
  return !prepared_;
}

// False: the file is complete, or the limit is reached.
bool SegmentedPayloadLog::PrepareStep(MappedFile* file) {
  const std::uint64_t before = file->allocated();
  const std::uint64_t target = std::min(file->capacity(), before + kPrepareStep);
  if (before == target || !Fits(target - before)) return false;
  file->Allocate(target);
  file->Populate(before, target);
  return true;
}

void SegmentedPayloadLog::AddSpare() {
  Spare spare;
  spare.path = JoinPath(options_.directory, SpareFileName(options_.rank, ++last_spare_));
  spare.file = environment_->CreateMapped(spare.path, segment_size_);
  spares_.push_back(std::move(spare));
}

void SegmentedPayloadLog::Prepare(std::uint64_t size) {
  if (current_ == nullptr) OpenSegment(0);
  const std::uint64_t room = current_->file().capacity() - Offset();
  std::uint64_t target = Offset() + std::min(size, room);
  if (target > current_->file().allocated()) {
    if (!Fits(target - current_->file().allocated())) return;
    if (!Extend(target)) return;
  }
  for (std::uint64_t done = room; done < size; done += segment_size_) {
    const std::uint64_t bytes = std::min(segment_size_, RoundUp(size - done, kPageSize));
    if (!Fits(bytes)) return;
    AddSpare();
    MappedFile& file = *spares_.back().file;
    file.Allocate(bytes);
    file.Populate(0, bytes);
  }
}

// --- Memory ---

void SegmentedPayloadLog::ThrowFull(std::uint64_t wanted, const std::string& reason) const {
  throw LogError("the payload log of rank " + std::to_string(options_.rank) + " in " +
                     options_.directory + " holds " + std::to_string(bytes_in_memory()) +
                     " bytes, needs " + std::to_string(wanted) + " more, and FT_LOG_MEMORY is " +
                     std::to_string(options_.memory) + "; " + reason +
                     "; raise FT_LOG_MEMORY, or set FT_SPILL_DIR to a node-local directory with "
                     "enough free space",
                 ENOSPC);
}

// Extends `file`, which is in no list, to `size` bytes; other segments make room.
void SegmentedPayloadLog::Allocate(MappedFile* file, std::uint64_t size) {
  for (;;) {
    const std::uint64_t used = bytes_in_memory() + file->allocated();
    const std::uint64_t wanted = size - file->allocated();
    std::string reason = NothingToSpill();
    if (used <= options_.memory && wanted <= options_.memory - used) {
      try {
        file->Allocate(size);
        return;
      } catch (const LogError& error) {
        // A full /dev/shm is a lower limit than the one that was asked for.
        if (error.error_number() != ENOSPC) throw;
        reason.insert(0, ", and ").insert(0, error.what());
      }
    }
    if (!FreeSomething()) ThrowFull(wanted, reason);
  }
}

std::string SegmentedPayloadLog::NothingToSpill() const {
  return options_.spill_directory.empty()
             ? "there is no directory to spill to"
             : "no segment can be spilled: in each that is in memory messages are on their way";
}

// Gives back the memory of a spare segment, or turns the oldest segment into a spare one. False:
// there is neither.
bool SegmentedPayloadLog::FreeSomething() {
  if (!spares_.empty()) {
    RemoveSpare(spares_.size() - 1);
    return true;
  }
  return SpillOldest();
}

bool SegmentedPayloadLog::SpillOldest() {
  if (options_.spill_directory.empty()) return false;
  const auto victim = std::find_if(segments_.begin(), segments_.end(), [](const auto& segment) {
    return segment->kind() == SegmentKind::kMemory && segment->closed() && segment->pins == 0;
  });
  if (victim == segments_.end()) return false;
  Segment& segment = **victim;
  segment.trim_table();  // needs the records in memory
  const std::string from = segment.path();
  const std::string to = SpillPath(segment.number());
  std::uint64_t size = 0;
  try {
    size = segment.WriteSpilled(environment_, to, segment.end(), segment.records());
  } catch (const LogError& error) {
    ThrowFull(segment.size(), std::string("spilling failed: ") + error.what());
  }
  MakeSpare(segment.BecomeSpilled(to, size), from);
  // The stub's page is paid for by what the segment gives back: the directory may be full.
  MappedFile& spare = *spares_.back().file;
  if (spare.allocated() > kMinimumSegment) {
    spare.Truncate(spare.allocated() - kPageSize);
  } else {
    RemoveSpare(spares_.size() - 1);
  }
  Segment::WriteStub(environment_, from, owner_, segment.number(), SegmentKind::kSpilled);
  return true;
}

// The segment at `path` becomes memory without content.
void SegmentedPayloadLog::MakeSpare(std::unique_ptr<MappedFile> file, const std::string& path) {
  const std::string spare =
      JoinPath(options_.directory, SpareFileName(options_.rank, ++last_spare_));
  environment_->Rename(path, spare);
  spares_.push_back({std::move(file), spare});
  prepared_ = false;
}

void SegmentedPayloadLog::RemoveSpare(std::size_t index) {
  environment_->Remove(spares_[index].path);
  spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(index));
}

std::uint64_t SegmentedPayloadLog::bytes_in_memory() const {
  std::uint64_t sum = 0;
  for (const auto& segment : segments_) {
    sum += segment->kind() == SegmentKind::kSpilled ? kSegmentHeaderSize : segment->size();
  }
  for (const Spare& spare : spares_) sum += spare.file->allocated();
  return sum;
}

std::uint64_t SegmentedPayloadLog::bytes_spilled() const {
  std::uint64_t sum = 0;
  for (const auto& segment : segments_) {
    if (segment->kind() == SegmentKind::kSpilled) sum += segment->size();
  }
  return sum;
}

std::uint64_t SegmentedPayloadLog::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& segment : segments_) {
    const std::uint64_t end = segment.get() == current_ ? Offset() : segment->end();
    sum += end - kSegmentHeaderSize;
  }
  return sum;
}

// --- Reading ---

Segment* SegmentedPayloadLog::Find(std::uint32_t number) const {
  if (segments_.empty() || number < segments_.front()->number() ||
      number - segments_.front()->number() >= segments_.size()) {
    return nullptr;
  }
  return segments_[number - segments_.front()->number()].get();
}

Segment* SegmentedPayloadLog::Holding(const LogRecord* record) const {
  Segment* const segment = Find(record->segment);
  if (segment == nullptr || !segment->Contains(record)) {
    std::fprintf(stderr, "ftmpi: payload log of rank %d: %p is no record of it\n", options_.rank,
                 static_cast<const void*>(record));
    std::abort();
  }
  return segment;
}

std::uint64_t SegmentedPayloadLog::PositionOf(const LogRecord* record) const {
  Segment* const segment = Holding(record);
  return (static_cast<std::uint64_t>(segment->number()) << kPositionBits) |
         static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(record) - segment->data());
}

std::uint64_t SegmentedPayloadLog::end_position() const {
  if (current_ == nullptr) {
    return (static_cast<std::uint64_t>(last_number_ + 1) << kPositionBits) | kSegmentHeaderSize;
  }
  return (static_cast<std::uint64_t>(current_->number()) << kPositionBits) | Offset();
}

void SegmentedPayloadLog::Pin(const LogRecord* record) { ++Holding(record)->pins; }

void SegmentedPayloadLog::Unpin(const LogRecord* record) {
  Segment* const segment = Holding(record);
  if (segment->pins == 0) {
    std::fprintf(stderr, "ftmpi: payload log of rank %d: a record was unpinned twice\n",
                 options_.rank);
    std::abort();
  }
  --segment->pins;
  if (segment->kind() == SegmentKind::kSpilled) UnmapUnused(segment);
}

// Replay reads one record after the other: the spilled segment used last stays mapped.
void SegmentedPayloadLog::UnmapUnused(Segment* keep) {
  if (last_mapped_ != nullptr && last_mapped_ != keep && last_mapped_->pins == 0) {
    last_mapped_->Unmap();
  }
  last_mapped_ = keep;
}

void SegmentedPayloadLog::ForEach(const std::function<bool(LogRecord&, std::uint64_t)>& visit) {
  for (const auto& segment : segments_) {
    if (segment->kind() == SegmentKind::kDropped) continue;
    const bool spilled = segment->kind() == SegmentKind::kSpilled;
    if (spilled) {
      segment->Map(environment_);
      UnmapUnused(segment.get());
    }
    const std::uint64_t end = segment.get() == current_ ? Offset() : segment->end();
    const std::uint64_t base = static_cast<std::uint64_t>(segment->number()) << kPositionBits;
    for (std::uint64_t offset = kSegmentHeaderSize; offset < end;) {
      LogRecord* const record = segment->RecordAt(offset);
      const std::uint64_t length = record->length;
      if (!visit(*record, base | offset)) return;
      offset += length;
    }
  }
}

LogRecord* SegmentedPayloadLog::PinAt(std::uint64_t position) {
  Segment* const segment = Find(static_cast<std::uint32_t>(position >> kPositionBits));
  if (segment == nullptr || segment->kind() == SegmentKind::kDropped) {
    throw LogError("the payload log of rank " + std::to_string(options_.rank) + " has no segment " +
                   std::to_string(position >> kPositionBits) + " (any more)");
  }
  const std::uint64_t offset = position & (kMaximumSegmentCapacity - 1);
  if (segment == current_ && offset >= Offset()) {
    throw LogError(segment->path() + ": no record at offset " + std::to_string(offset));
  }
  if (segment->kind() == SegmentKind::kSpilled) {
    segment->Map(environment_);
    UnmapUnused(segment);
  }
  LogRecord* const record = segment->RecordAt(offset);
  ++segment->pins;
  return record;
}

// --- Giving back ---

void SegmentedPayloadLog::Trim(int destination, std::uint64_t ssn) {
  std::uint64_t& last = trimmed_[destination];
  if (ssn <= last) return;
  last = ssn;
  for (const auto& segment : segments_) {
    if (segment->closed() && segment->kind() != SegmentKind::kDropped && !segment->trimmed) {
      segment->trimmed = segment->trim_table().Covered(trimmed_);
      if (segment->trimmed) ForgetNumbers();
    }
  }
  DropTrimmed();
}

// What was sent in front of segment `index`: less than in front of `position`, which lies in it or
// behind it, by what lies between.
ChannelCounts SegmentedPayloadLog::CountsAt(std::size_t index, std::uint64_t position,
                                            const ChannelCounts& sent) {
  ChannelCounts counts = sent;
  for (std::size_t n = index; n < segments_.size(); ++n) {
    Segment& segment = *segments_[n];
    const std::uint64_t base = static_cast<std::uint64_t>(segment.number()) << kPositionBits;
    if ((base | kSegmentHeaderSize) >= position) break;
    if (segment.kind() == SegmentKind::kSpilled) {
      segment.Map(environment_);
      UnmapUnused(&segment);
    }
    const std::uint64_t end =
        std::min(&segment == current_ ? Offset() : segment.end(), position - base);
    for (std::uint64_t offset = kSegmentHeaderSize; offset < end;) {
      const LogRecord& record = *segment.RecordAt(offset);
      std::uint64_t& count = counts[record.destination];
      if (count == 0) {
        throw LogError(segment.path() + ": more messages to rank " +
                       std::to_string(record.destination) + " than were counted");
      }
      --count;
      offset += record.length;
    }
  }
  return counts;
}

void SegmentedPayloadLog::TrimBefore(std::uint64_t position, const ChannelCounts& sent) {
  // In front of the first that is still needed, so that what is left has no gap.
  std::size_t drop = 0;
  for (; drop < segments_.size(); ++drop) {
    const Segment& segment = *segments_[drop];
    const std::uint64_t base = static_cast<std::uint64_t>(segment.number()) << kPositionBits;
    if (!segment.closed() || segment.pins > 0 || (base | segment.end()) > position) break;
  }
  if (drop == 0) return;
  try {
    // A log without a segment could not be told from one that is lost.
    if (drop == segments_.size()) OpenSegment(0);
    if (numbered_) {
      PayloadLogBase base;
      base.first_segment = segments_[drop]->number();
      base.messages = CountsAt(drop, position, sent);
      // First: segments that it leaves out are gone for a reader.
      WritePayloadLogBase(environment_, options_.directory, owner_, base);
      base_ = std::move(base);
    }
  } catch (const LogError& error) {
    // No room for what would give memory back: at the next trim.
    if (error.error_number() == ENOSPC) return;
    throw;
  }
  for (std::size_t n = 0; n < drop; ++n) segments_[n]->trimmed = true;
  DropTrimmed();
}

void SegmentedPayloadLog::TrimBefore(std::uint64_t position) {
  ForgetNumbers();
  TrimBefore(position, {});
}

// From here on segments go whose messages nobody has counted.
void SegmentedPayloadLog::ForgetNumbers() {
  if (!numbered_) return;
  numbered_ = false;
  RemovePayloadLogBase(environment_, options_.directory, options_.rank);
}

// Counts a segment's records out.
void SegmentedPayloadLog::Forget(const Segment& segment) {
  record_count_ -= segment.records();
  current_first_record_ -= segment.records();
  if (last_mapped_ == &segment) last_mapped_ = nullptr;
}

void SegmentedPayloadLog::DropTrimmed() {
  const auto droppable = [](const Segment& segment) {
    return segment.kind() == SegmentKind::kDropped || (segment.trimmed && segment.pins == 0);
  };
  // From the oldest on, so that what is left has no gap.
  while (!segments_.empty() && droppable(*segments_.front())) {
    Segment& segment = *segments_.front();
    if (segment.kind() == SegmentKind::kMemory) {
      Forget(segment);
      const std::string path = segment.path();
      MakeSpare(segment.BecomeSpilled(path, 0), path);
    } else {
      RemoveFiles(segment);
      Forget(segment);
    }
    segments_.pop_front();
  }
  for (const auto& segment : segments_) {
    if (!droppable(*segment) || segment->kind() == SegmentKind::kDropped) continue;
    const std::string path = InMemoryPath(segment->number());
    try {
      Segment::WriteStub(environment_, path, owner_, segment->number(), SegmentKind::kDropped);
    } catch (const LogError& error) {
      // No room for the stub that would give the segment's memory back: at the next trim.
      if (error.error_number() == ENOSPC) return;
      throw;
    }
    if (segment->kind() == SegmentKind::kSpilled) environment_->Remove(segment->path());
    Forget(*segment);
    segment->BecomeDropped(path);
  }
}

// The stub before what it stands for: a spilled segment without a stub is whole, a stub alone is
// not.
void SegmentedPayloadLog::RemoveFiles(const Segment& segment) {
  environment_->Remove(InMemoryPath(segment.number()));
  if (segment.kind() == SegmentKind::kSpilled) environment_->Remove(segment.path());
}

void SegmentedPayloadLog::Remove() {
  current_ = nullptr;
  last_mapped_ = nullptr;
  next_ = segment_end_ = nullptr;
  // From the newest on: whoever reads what a killed process left finds a log without a gap.
  while (!segments_.empty()) {
    RemoveFiles(*segments_.back());
    segments_.pop_back();
  }
  while (!spares_.empty()) RemoveSpare(spares_.size() - 1);
  RemovePayloadLogBase(environment_, options_.directory, options_.rank);
  record_count_ = 0;
}

std::unique_ptr<PayloadLog> PayloadLog::Create(Environment* environment,
                                               const PayloadLogOptions& options,
                                               const ChannelCounts& before) {
  auto log = std::make_unique<SegmentedPayloadLog>(environment, options);
  log->Start(before);
  return log;
}

std::unique_ptr<PayloadLog> PayloadLog::Recover(Environment* environment,
                                                const PayloadLogOptions& options,
                                                std::uint64_t last_interval) {
  auto log = std::make_unique<SegmentedPayloadLog>(environment, options);
  log->Resume(last_interval);
  return log;
}

void PayloadLog::CommitRefused(const LogRecord* record, std::uint64_t used) const {
  if (reinterpret_cast<const std::byte*>(record) != next_) {
    std::fprintf(stderr,
                 "ftmpi: payload log: a record was committed that is not the reserved one\n");
  } else {
    std::fprintf(
        stderr,
        "ftmpi: payload log: a record with %llu bytes and a payload of %llu was committed, "
        "%llu were reserved\n",
        static_cast<unsigned long long>(used),
        static_cast<unsigned long long>(record->header.payload_length),
        static_cast<unsigned long long>(record->capacity));
  }
  std::abort();
}

bool PayloadLogExists(Environment* environment, const std::string& directory, int rank) {
  if (!environment->Exists(directory)) return false;
  const std::vector<std::string> names = environment->List(directory);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return ParseSegmentFileName(name, rank).has_value();
  });
}

}  // namespace ftmpi::logging
