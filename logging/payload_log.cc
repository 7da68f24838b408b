#include "logging/payload_log.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "logging/environment.h"
#include "logging/log_error.h"
#include "logging/payload_log_format.h"
#include "logging/payload_log_segment.h"

namespace ftmpi::logging {
namespace {

constexpr std::uint64_t kMinimumMemory = 32 << 10;
constexpr std::uint64_t kMinimumSegment = 2 * kPageSize;
constexpr std::uint64_t kGrowthStep = 2 << 20;    // a segment grows by so much
constexpr std::uint64_t kPrepareStep = 64 << 10;  // PrepareAhead gets so much at a time
constexpr std::uint64_t kPrepareGoal = 8 << 20;   // and keeps so much ready

class SegmentedPayloadLog final : public PayloadLog {
 public:
  SegmentedPayloadLog(Environment* environment, const PayloadLogOptions& options);

  void Start();
  void Resume(std::uint64_t last_interval);

  void Pin(const LogRecord* record) override;
  void Unpin(const LogRecord* record) override;
  void ForEach(const std::function<bool(LogRecord&, std::uint64_t)>& visit) override;
  LogRecord* PinAt(std::uint64_t position) override;
  void Trim(int destination, std::uint64_t ssn) override;
  void TrimBefore(std::uint64_t position) override;
  bool PrepareAhead() override;
  void Prepare(std::uint64_t size) override;
  void Remove() override;

  std::uint64_t end_position() const override;
  std::uint64_t PositionOf(const LogRecord* record) const override;
  std::uint64_t bytes() const override;
  std::uint64_t bytes_in_memory() const override;
  std::uint64_t bytes_spilled() const override;
  const std::string& damage() const override { return damage_; }

 protected:
  LogRecord* ReserveSlow(std::uint64_t capacity, int destination) override;

 private:
  struct Spare {
    std::unique_ptr<MappedFile> file;
    std::string path;
  };
  struct Found {  // by Resume: the files of one segment number
    std::string in_memory, spilled;
  };

  std::string InMemoryPath(std::uint32_t number) const {
    return JoinPath(options_.directory, SegmentFileName(options_.rank, number));
  }
  std::string SpillPath(std::uint32_t number) const {
    return JoinPath(options_.spill_directory, SpillFileName(options_.job, options_.rank, number));
  }
  std::uint64_t Offset() const { return static_cast<std::uint64_t>(next_ - current_->data()); }
  Segment* Find(std::uint32_t number) const;
  Segment* Holding(const LogRecord* record) const;

  // Appending.
  void OpenSegment(std::uint64_t length);
  void CloseCurrent();
  void Extend(std::uint64_t size, bool may_free);
  void UpdateEnd();
  Spare NewFile(std::uint64_t need);
  bool PrepareStep(MappedFile* file);
  void AddSpare();

  // Memory.
  bool Fits(std::uint64_t bytes) const {
    const std::uint64_t used = bytes_in_memory();
    return used <= options_.memory && bytes <= options_.memory - used;
  }
  bool FreeSomething();
  bool SpillOldest();
  void MakeSpare(std::unique_ptr<MappedFile> file, const std::string& path);
  void RemoveSpare(std::size_t index);
  void Allocate(MappedFile* file, std::uint64_t size, bool may_free);
  [[noreturn]] void ThrowFull(std::uint64_t wanted, const std::string& reason) const;

  // Giving back.
  void DropTrimmed();
  void Forget(const Segment& segment);
  void RemoveFiles(const Segment& segment);
  void UnmapUnused(Segment* keep);

  // Recovery.
  std::map<std::uint32_t, Found> FindFiles();
  void Discard(const Found& found);

  Environment* const environment_;
  PayloadLogOptions options_;
  const SegmentOwner owner_;
  std::uint64_t segment_size_ = 0;
  std::uint64_t growth_step_ = 0;
  std::deque<std::unique_ptr<Segment>> segments_;  // without a gap; empty: none since the last drop
  Segment* current_ = nullptr;                     // the open one, segments_.back(), or null
  std::uint64_t current_first_record_ = 0;         // record_count_ when it was opened
  std::uint32_t last_number_ = 0;
  std::vector<Spare> spares_;
  std::uint64_t last_spare_ = 0;
  std::unordered_map<int, std::uint64_t> trimmed_;  // destination: SSN
  Segment* last_mapped_ = nullptr;                  // spilled, mapped, perhaps without a pin
  bool prepared_ = false;  // PrepareAhead has nothing to do until the next segment
  std::string damage_;
};

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

void SegmentedPayloadLog::Start() {
  for (const std::string& name : environment_->List(options_.directory)) {
    if (ParseSegmentFileName(name, options_.rank)) {
      throw LogError(JoinPath(options_.directory, name) +
                     " exists: the directory holds the payload log of another run; recover that "
                     "run, remove its files, or set FT_LOCAL to another directory");
    }
    if (IsLeftover(name, options_.rank)) environment_->Remove(JoinPath(options_.directory, name));
  }
  OpenSegment(0);
}

// --- Appending
// ------------------------------------------------------------------------------------

LogRecord* SegmentedPayloadLog::ReserveSlow(std::uint64_t capacity, int destination) {
  if (capacity > kMaximumSegmentCapacity - 2 * kSegmentHeaderSize) {
    throw LogError("a message of " + std::to_string(capacity) +
                   " bytes is too large for the payload log; the limit is 1 TiB");
  }
  const std::uint64_t length = LogRecordLength(capacity);
  if (current_ != nullptr && Offset() + length + kSegmentTail <= current_->file().capacity()) {
    Extend(Offset() + length + kSegmentTail, true);
  } else {
    OpenSegment(length);
  }
  return Reserve(capacity, destination);
}

void SegmentedPayloadLog::UpdateEnd() {
  segment_end_ = current_->data() + current_->file().allocated() - kSegmentTail;
}

// Gives the current segment at least `size` bytes, in whole steps where the limit allows.
void SegmentedPayloadLog::Extend(std::uint64_t size, bool may_free) {
  MappedFile& file = current_->file();
  const std::uint64_t before = file.allocated();
  if (size <= before) return;
  std::uint64_t target = std::min(file.capacity(), RoundUp(size, growth_step_));
  if (!Fits(target - before)) target = std::min(file.capacity(), RoundUp(size, kPageSize));
  Allocate(&file, target, may_free);
  file.Populate(before, file.allocated());
  UpdateEnd();
}

void SegmentedPayloadLog::CloseCurrent() {
  if (current_ == nullptr) return;
  current_->Close(Offset(), record_count_ - current_first_record_);
  current_ = nullptr;
  next_ = segment_end_ = nullptr;
}

// A file with at least `need` bytes allocated.
SegmentedPayloadLog::Spare SegmentedPayloadLog::NewFile(std::uint64_t need) {
  const std::uint64_t capacity = std::max(segment_size_, need);
  for (;;) {
    // Memory that was used before needs no page faults. Not a much larger one: it would be lost to
    // the messages that need it.
    const auto fitting = std::find_if(spares_.begin(), spares_.end(), [&](const Spare& spare) {
      return spare.file->capacity() >= need && spare.file->capacity() / 2 <= capacity &&
             (spare.file->allocated() >= need || Fits(need - spare.file->allocated()));
    });
    if (fitting != spares_.end()) {
      Spare spare = std::move(*fitting);
      spares_.erase(fitting);
      return spare;
    }
    if (Fits(need)) break;
    if (!FreeSomething()) {
      ThrowFull(need, options_.spill_directory.empty()
                          ? "there is no directory to spill to"
                          : "no segment can be spilled: messages in all of them are on their way");
    }
  }
  Spare spare;
  spare.path = JoinPath(options_.directory, SpareFileName(options_.rank, ++last_spare_));
  spare.file = environment_->CreateMapped(spare.path, capacity);
  return spare;
}

void SegmentedPayloadLog::OpenSegment(std::uint64_t length) {
  CloseCurrent();
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
  Spare spare = NewFile(need);
  const std::uint32_t number = last_number_ + 1;
  const std::string path = InMemoryPath(number);
  std::unique_ptr<Segment> segment;
  try {
    const std::uint64_t before = spare.file->allocated();
    if (before < need) {
      std::uint64_t target = std::min(spare.file->capacity(), RoundUp(need, growth_step_));
      if (!Fits(before + target)) target = need;
      Allocate(spare.file.get(), target, true);
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
    Extend(target, false);
  }
  for (std::uint64_t done = room; done < size; done += segment_size_) {
    const std::uint64_t bytes = std::min(segment_size_, RoundUp(size - done, kPageSize));
    if (!Fits(bytes)) return;
    AddSpare();
    MappedFile& file = *spares_.back().file;
    Allocate(&file, bytes, false);
    file.Populate(0, bytes);
  }
}

// --- Memory
// ---------------------------------------------------------------------------------------

void SegmentedPayloadLog::ThrowFull(std::uint64_t wanted, const std::string& reason) const {
  throw LogError("the payload log of rank " + std::to_string(options_.rank) + " in " +
                     options_.directory + " holds " + std::to_string(bytes_in_memory()) +
                     " bytes, needs " + std::to_string(wanted) + " more, and FT_LOG_MEMORY is " +
                     std::to_string(options_.memory) + "; " + reason +
                     "; raise FT_LOG_MEMORY, or set FT_SPILL_DIR to a node-local directory with "
                     "enough free space",
                 ENOSPC);
}

// Extends `file` to `size` bytes within the limit; segments make room when `may_free`.
void SegmentedPayloadLog::Allocate(MappedFile* file, std::uint64_t size, bool may_free) {
  for (;;) {
    const std::uint64_t wanted = size - file->allocated();
    std::string reason = "there is no directory to spill to";
    if (!options_.spill_directory.empty()) {
      reason = "no segment can be spilled: messages in all of them are on their way";
    }
    if (Fits(wanted)) {
      try {
        file->Allocate(size);
        return;
      } catch (const LogError& error) {
        // A full /dev/shm is a lower limit than the one that was asked for.
        if (error.error_number() != ENOSPC || !may_free) throw;
        reason = std::string(error.what()) + ", and " + reason;
      }
    }
    if (!may_free || !FreeSomething()) ThrowFull(wanted, reason);
  }
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

// --- Reading
// --------------------------------------------------------------------------------------

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

// --- Giving back
// ----------------------------------------------------------------------------------

void SegmentedPayloadLog::Trim(int destination, std::uint64_t ssn) {
  std::uint64_t& last = trimmed_[destination];
  if (ssn <= last) return;
  last = ssn;
  for (const auto& segment : segments_) {
    if (segment->closed() && segment->kind() != SegmentKind::kDropped && !segment->trimmed) {
      segment->trimmed = segment->trim_table().Covered(trimmed_);
    }
  }
  DropTrimmed();
}

void SegmentedPayloadLog::TrimBefore(std::uint64_t position) {
  for (const auto& segment : segments_) {
    if (!segment->closed() || segment->kind() == SegmentKind::kDropped) continue;
    const std::uint64_t base = static_cast<std::uint64_t>(segment->number()) << kPositionBits;
    if ((base | segment->end()) <= position) segment->trimmed = true;
  }
  DropTrimmed();
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
    Segment::WriteStub(environment_, path, owner_, segment->number(), SegmentKind::kDropped);
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
  record_count_ = 0;
}

// --- Recovery
// -------------------------------------------------------------------------------------

std::map<std::uint32_t, SegmentedPayloadLog::Found> SegmentedPayloadLog::FindFiles() {
  std::map<std::uint32_t, Found> found;
  for (const std::string& name : environment_->List(options_.directory)) {
    if (const auto number = ParseSegmentFileName(name, options_.rank)) {
      found[*number].in_memory = JoinPath(options_.directory, name);
    }
  }
  if (!options_.spill_directory.empty()) {
    for (const std::string& name : environment_->List(options_.spill_directory)) {
      if (const auto number = ParseSpillFileName(name, options_.job, options_.rank)) {
        found[*number].spilled = JoinPath(options_.spill_directory, name);
      }
    }
  }
  return found;
}

void SegmentedPayloadLog::Discard(const Found& found) {
  if (!found.in_memory.empty()) environment_->Remove(found.in_memory);
  if (!found.spilled.empty()) environment_->Remove(found.spilled);
}

void SegmentedPayloadLog::Resume(std::uint64_t last_interval) {
  const std::map<std::uint32_t, Found> found = FindFiles();
  if (found.empty()) {
    throw LogError("no payload log of rank " + std::to_string(options_.rank) + " in " +
                   options_.directory);
  }

  // First without changing anything: foreign files are an error that leaves them as they are.
  std::map<std::uint32_t, std::string> damaged;
  std::uint32_t expected = found.begin()->first;
  for (const auto& [number, files] : found) {
    std::string damage;
    std::unique_ptr<Segment> segment;
    if (!files.in_memory.empty()) {
      segment = Segment::Open(environment_, files.in_memory, owner_, number, false, &damage);
      if (damage.empty() && segment->kind() == SegmentKind::kSpilled && files.spilled.empty()) {
        throw LogError(files.in_memory + " was moved to the spill directory, and " +
                       (options_.spill_directory.empty() ? "none is given"
                                                         : SpillPath(number) + " does not exist") +
                       "; set FT_SPILL_DIR as it was in the run that wrote the log");
      }
    }
    if (damage.empty() && (!segment || segment->kind() == SegmentKind::kSpilled)) {
      segment = Segment::Open(environment_, files.spilled, owner_, number, true, &damage);
    }
    if (!damage_.empty()) continue;
    if (number != expected) {
      damage_ = InMemoryPath(expected) + " is missing";
    } else if (!damage.empty()) {
      damage_ = damage;
    } else {
      if (segment->kind() != SegmentKind::kMemory) segment->Unmap();
      segments_.push_back(std::move(segment));
      ++expected;
    }
  }

  // Where does the log end?
  std::size_t keep = segments_.size();
  SegmentScan last;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    if (segment.kind() == SegmentKind::kDropped) continue;
    const bool spilled = segment.kind() == SegmentKind::kSpilled;
    if (spilled) segment.Map(environment_);
    last = segment.Scan(last_interval);
    if (!last.damage.empty()) damage_ = last.damage;
    if (!last.cut && !segment.closed() && i + 1 < segments_.size()) {
      last.cut = true;
      damage_ = segment.path() + " was not closed, but segments follow it";
    }
    if (last.cut) {
      keep = last.records == 0 ? i : i + 1;
      break;
    }
    record_count_ += last.records;
    if (spilled) {
      segment.trim_table();
      segment.Unmap();
    }
  }

  // Drop the rest, newest first. Numbers that were used are used again: their files are gone.
  last_number_ = keep > 0 ? segments_[keep - 1]->number() : found.begin()->first - 1;
  for (auto files = found.rbegin(); files != found.rend(); ++files) {
    if (files->first > last_number_) Discard(files->second);
  }
  segments_.resize(keep);
  if (keep > 0) {
    Segment& segment = *segments_.back();
    if (segment.kind() == SegmentKind::kMemory && (last.cut || !segment.closed())) {
      segment.Close(last.end, last.records);
      segment.file().Truncate(RoundUp(last.end, kPageSize));
    } else if (segment.kind() == SegmentKind::kSpilled && last.cut) {
      const std::string path = segment.path();
      segment.WriteSpilled(environment_, path, last.end, last.records);
      std::string damage;
      segments_.back() = Segment::Open(environment_, path, owner_, segment.number(), true, &damage);
      if (!damage.empty()) throw LogError(damage);
      segments_.back()->trim_table();
      segments_.back()->Unmap();
    }
    if (last.cut) record_count_ += last.records;
  }

  // A process that died while it moved or dropped a segment left two copies of it, or no stub.
  for (const auto& segment : segments_) {
    const Found& files = found.at(segment->number());
    if (segment->kind() != SegmentKind::kSpilled) {
      if (!files.spilled.empty()) environment_->Remove(files.spilled);
    } else if (files.in_memory.empty()) {
      Segment::WriteStub(environment_, InMemoryPath(segment->number()), owner_, segment->number(),
                         SegmentKind::kSpilled);
    }
  }
  for (const std::string& name : environment_->List(options_.directory)) {
    if (IsLeftover(name, options_.rank)) environment_->Remove(JoinPath(options_.directory, name));
  }
  if (!options_.spill_directory.empty()) {
    for (const std::string& name : environment_->List(options_.spill_directory)) {
      if (IsSpillLeftover(name, options_.job, options_.rank)) {
        environment_->Remove(JoinPath(options_.spill_directory, name));
      }
    }
  }
  OpenSegment(0);
}

}  // namespace

std::unique_ptr<PayloadLog> PayloadLog::Create(Environment* environment,
                                               const PayloadLogOptions& options) {
  auto log = std::make_unique<SegmentedPayloadLog>(environment, options);
  log->Start();
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

void RemovePayloadLog(Environment* environment, const PayloadLogOptions& options) {
  std::vector<std::string> names = environment->List(options.directory);
  // Newest first, as in Remove.
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return ParseSegmentFileName(a, options.rank).value_or(0) >
           ParseSegmentFileName(b, options.rank).value_or(0);
  });
  for (const std::string& name : names) {
    if (ParseSegmentFileName(name, options.rank) || IsLeftover(name, options.rank)) {
      environment->Remove(JoinPath(options.directory, name));
    }
  }
  if (options.spill_directory.empty() || !environment->Exists(options.spill_directory)) return;
  for (const std::string& name : environment->List(options.spill_directory)) {
    if (ParseSpillFileName(name, options.job, options.rank) ||
        IsSpillLeftover(name, options.job, options.rank)) {
      environment->Remove(JoinPath(options.spill_directory, name));
    }
  }
}

}  // namespace ftmpi::logging
