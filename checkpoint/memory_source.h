// Where the bytes of a checkpoint come from: the memory of the process that is checkpointed.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ftmpi::checkpoint {

// A stretch of it.
struct MemoryExtent {
  std::uint64_t address;
  std::uint64_t length;
};

class MemorySource {
 public:
  virtual ~MemorySource() = default;
  MemorySource() = default;
  MemorySource(const MemorySource&) = delete;
  MemorySource& operator=(const MemorySource&) = delete;

  // All bytes of the extents, one after another; buffer.size() is the sum of their lengths. Throws
  // StoreError naming process and address.
  virtual void Read(std::span<const MemoryExtent> extents, std::span<std::byte> buffer) = 0;
  void Read(std::uint64_t address, std::span<std::byte> buffer) {
    const MemoryExtent extent{address, buffer.size()};
    Read(std::span(&extent, 1), buffer);
  }
};

// Another process of this node, which stands still meanwhile. It must have the same user and, where
// Yama restricts ptrace, have named the reader with prctl(PR_SET_PTRACER).
class ProcessMemory final : public MemorySource {
 public:
  explicit ProcessMemory(pid_t process);
  ~ProcessMemory() override;
  using MemorySource::Read;
  void Read(std::span<const MemoryExtent> extents, std::span<std::byte> buffer) override;
  // Writes all of it there; false: not allowed, or not mapped.
  bool Write(std::uint64_t address, std::span<const std::byte> bytes);

 private:
  // Throws when the process has ended: its number may be another's by now.
  void RequireAlive() const;

  const pid_t process_;
  const int descriptor_;  // pidfd
};

}  // namespace ftmpi::checkpoint
