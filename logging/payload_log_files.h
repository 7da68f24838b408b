// The payload log as files: which segment is appended to, which one goes when the limit is reached,
// and the order of steps on disk, so that a process killed between any two of them leaves a log
// that Recover understands. payload_log.cc: writing, reading, trimming; payload_log_recovery.cc:
// recovery.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "logging/environment.h"
#include "logging/payload_log.h"
#include "logging/payload_log_base.h"
#include "logging/payload_log_format.h"
#include "logging/payload_log_segment.h"

namespace ftmpi::logging {

class SegmentedPayloadLog final : public PayloadLog {
 public:
  SegmentedPayloadLog(Environment* environment, const PayloadLogOptions& options);

  void Start(const ChannelCounts& before);
  void Resume(std::uint64_t last_interval);

  void Pin(const LogRecord* record) override;
  void Unpin(const LogRecord* record) override;
  void ForEach(const std::function<bool(LogRecord&, std::uint64_t)>& visit) override;
  LogRecord* PinAt(std::uint64_t position) override;
  void Trim(int destination, std::uint64_t ssn) override;
  void TrimBefore(std::uint64_t position, const ChannelCounts& sent) override;
  void TrimBefore(std::uint64_t position) override;
  const ChannelCounts* before() const override { return numbered_ ? &base_.messages : nullptr; }
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
  bool Extend(std::uint64_t size);
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
  void Allocate(MappedFile* file, std::uint64_t size);
  [[nodiscard]] std::string NothingToSpill() const;
  [[noreturn]] void ThrowFull(std::uint64_t wanted, const std::string& reason) const;

  // Giving back.
  void DropTrimmed();
  void Forget(const Segment& segment);
  void RemoveFiles(const Segment& segment);
  void ForgetNumbers();
  [[nodiscard]] ChannelCounts CountsAt(std::size_t index, std::uint64_t position,
                                       const ChannelCounts& sent);
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
  PayloadLogBase base_;   // as in the file, if there is one
  bool numbered_ = true;  // base_ is true
};

}  // namespace ftmpi::logging
