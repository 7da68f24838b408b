// What a rank has written to one of its streams and the outside world has not yet seen: a queue of
// chunks, each with the state interval that must be committable before it may go. Unbounded, since
// a rank that is blocked in write() can't do what makes its output committable: what exceeds the
// memory limit lies in an unlinked file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace ftmpi::recovery {

class HeldOutput {
 public:
  // The file is made in `spill_directory` when more than `memory_limit` bytes are held.
  explicit HeldOutput(std::uint64_t memory_limit) : memory_limit_(memory_limit) {}
  ~HeldOutput();
  HeldOutput(const HeldOutput&) = delete;
  HeldOutput& operator=(const HeldOutput&) = delete;

  void set_spill_directory(const std::string& directory) { spill_directory_ = directory; }

  // `interval`: the state interval in which the bytes were written, or a later one. `open`: polling
  // calls that said no are not yet in a determinant, so that the bytes belong to the part of the
  // interval that only determinant interval + 1 will cover.
  void Append(std::string_view bytes, std::uint64_t interval, bool open);
  // The rank is in `interval` and has no uncovered polling calls: so are all chunks.
  void Close(std::uint64_t interval);

  // Up to `limit` bytes from the front that may be released when `committable` is; empty: none.
  // Valid until the next call.
  std::string_view Front(std::uint64_t committable, std::size_t limit);
  // The same for whatever is at the front.
  std::string_view Front(std::size_t limit) { return Front(UINT64_MAX, limit); }
  void Remove(std::size_t bytes);

  // All of it, from the front. Throws std::runtime_error when what was spilled can't be read.
  [[nodiscard]] std::string Copy() const;

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_ == 0; }
  // Whether the front chunk may go.
  [[nodiscard]] bool Releasable(std::uint64_t committable) const;
  // Whether everything may go: then whoever reads slowly is to be waited for.
  [[nodiscard]] bool AllReleasable(std::uint64_t committable) const;

 private:
  struct Chunk {
    std::uint64_t mark;  // committable >= mark: it may go
    std::uint64_t length;
    std::uint64_t offset;  // in the spill file; kInMemory: `bytes`
    bool open;
    std::string bytes;
  };
  static constexpr std::uint64_t kInMemory = UINT64_MAX;

  std::uint64_t Spill(std::string_view bytes);

  std::uint64_t memory_limit_;
  std::string spill_directory_;
  std::deque<Chunk> chunks_;
  std::size_t front_taken_ = 0;  // bytes of the front chunk that are gone
  std::uint64_t bytes_ = 0;
  std::uint64_t in_memory_ = 0;
  std::uint64_t open_chunks_ = 0;
  int spill_ = -1;
  std::uint64_t spill_end_ = 0;
  std::string window_;  // a piece of the spill file
};

}  // namespace ftmpi::recovery
