// An Environment whose operations can be made to fail: the n-th of a kind, a write cut short, a
// full disk; or to end the "process" there (SimulatedCrash). Between failures it is the environment
// that it wraps.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "logging/environment.h"

namespace ftmpi::logging {

enum class FaultPoint : std::size_t {
  kAny,   // each of the following
  kOpen,  // and create, list, examine
  kWrite,
  kSync,
  kRename,
  kRemove,
  kMap,
  kAllocate,
  kCount,
};

// Thrown where a process is to end: no LogError, so no cleaning up after errors takes place.
struct SimulatedCrash {};

class FaultEnvironment : public Environment {
 public:
  explicit FaultEnvironment(Environment* base) : base_(base) {}

  // The n-th operation of that kind from now on (from 1) fails with this errno; it has no effect.
  void FailAt(FaultPoint point, std::uint64_t n, int error_number);
  // The n-th write from now on writes `bytes` bytes only and then fails with ENOSPC.
  void CutWriteAt(std::uint64_t n, std::uint64_t bytes);
  // So much can still be written and allocated; what does not fit fails with ENOSPC, writes after
  // they have filled the disk.
  void LimitDisk(std::uint64_t bytes) { space_ = bytes; }
  // The n-th operation from now on, and every one after it, throws SimulatedCrash instead.
  void CrashAt(std::uint64_t n);
  // No more failures.
  void Clear();

  // Operations so far.
  [[nodiscard]] std::uint64_t count(FaultPoint point) const {
    return counts_[static_cast<std::size_t>(point)];
  }
  [[nodiscard]] bool failed() const { return failed_; }  // since FailAt, CutWriteAt, CrashAt

  std::unique_ptr<MappedFile> CreateMapped(const std::string& path,
                                           std::uint64_t capacity) override;
  std::unique_ptr<MappedFile> OpenMapped(const std::string& path, MapMode mode) override;
  std::unique_ptr<WritableFile> CreateWritable(const std::string& path) override;
  std::unique_ptr<UpdatableFile> CreateUpdatable(const std::string& path) override;
  std::unique_ptr<ReadableFile> OpenReadable(const std::string& path) override;
  void Rename(const std::string& from, const std::string& to) override;
  void Remove(const std::string& path) override;
  void MakeDirectory(const std::string& path) override;
  void RemoveDirectory(const std::string& path) override;
  std::vector<std::string> List(const std::string& directory) override;
  bool Exists(const std::string& path) override;
  std::uint64_t FileSize(const std::string& path) override;
  void SyncDirectory(const std::string& directory) override;
  std::uint64_t MonotonicNanoseconds() override { return base_->MonotonicNanoseconds(); }
  std::uint64_t WallClockNanoseconds() override { return base_->WallClockNanoseconds(); }
  std::string HostName() override { return base_->HostName(); }

  // For the files that it hands out: counts an operation, and throws when it is to fail.
  void Pass(FaultPoint point, const std::string& path);
  // Bytes of a write of `wanted` that may be written; fewer: the write fails then.
  std::uint64_t WriteBudget(std::uint64_t wanted);
  void TakeSpace(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t space() const { return space_; }

 private:
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

  Environment* const base_;
  std::array<std::uint64_t, static_cast<std::size_t>(FaultPoint::kCount)> counts_{};
  FaultPoint fail_point_ = FaultPoint::kAny;
  std::uint64_t fail_at_ = 0;  // value of the count at which to fail, 0: never
  int error_number_ = EIO;
  std::uint64_t cut_at_ = 0;
  std::uint64_t cut_bytes_ = 0;
  std::uint64_t crash_at_ = 0;
  std::uint64_t space_ = kUnlimited;
  bool failed_ = false;
};

}  // namespace ftmpi::logging
