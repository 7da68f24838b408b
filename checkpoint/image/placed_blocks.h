// Memory at fixed addresses for objects of a library that the program names by their addresses
// (Open MPI's handles). The content is the library's and is not saved; but a restored process can
// make such an object again at the address that the program knows it by.
//
// While a Placement lives, what this thread allocates in a library's name with malloc or calloc,
// and is as large as the object, comes from these blocks. They are freed as any other memory.
// Placements are used by one thread of the process; blocks may be freed by any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "checkpoint/image/layout.h"

namespace ftmpi::image::placed {

inline constexpr std::uint64_t kBase = 72 * kTera;
inline constexpr std::size_t kBlock =
    2048;  // bytes (Open MPI's operations are the largest); larger objects can't be placed
inline constexpr std::size_t kBlocks = std::size_t{1} << 16;

// Takes the addresses, once. False: `reason` says why that can't be.
bool Reserve(const char** reason);

inline bool Owns(const void* block) {
  return reinterpret_cast<std::uint64_t>(block) - kBase < kBlock * kBlocks;
}
inline std::size_t NumberOf(const void* block) {
  return (reinterpret_cast<std::uint64_t>(block) - kBase) / kBlock;
}
inline void* AddressOf(std::size_t number) {
  return reinterpret_cast<void*>(kBase + number * kBlock);
}

// Marks a block whose object the program has a handle of, until it is freed.
void Keep(const void* block);
bool Kept(const void* block);

class Placement {
 public:
  // Every allocation of `size` bytes gets the next free block; where there is none, libc's memory.
  explicit Placement(std::size_t size);
  // The allocation of `size` bytes that comes behind `skip` others of this size gets the block
  // `target`, which must be free; all others get libc's memory.
  Placement(std::size_t size, void* target, unsigned skip);
  // Only notes what is allocated.
  Placement();
  ~Placement();
  Placement(const Placement&) = delete;
  Placement& operator=(const Placement&) = delete;

  // Of a noting placement: the size of the allocation that yielded `block`, 0: none did; and how
  // many others of this size came before it.
  std::size_t SizeOf(const void* block) const;
  unsigned CountBefore(const void* block) const;

  // For malloc: a block, or null: take libc's memory (which `Note` is to be told).
  void* Take(std::size_t size);
  void Note(void* block, std::size_t size);

 private:
  struct Noted {
    void* block;
    std::size_t size;
  };
  static constexpr std::size_t kNotes = 512;

  std::size_t size_ = 0;
  void* target_ = nullptr;
  unsigned skip_ = 0;
  bool noting_ = false;
  std::size_t noted_count_ = 0;
  Noted noted_[kNotes];
  Placement* outer_;
};

// The one of this thread, or null. Initial-exec: read by malloc.
extern __thread Placement* t_placement __attribute__((tls_model("initial-exec")));

// For free.
void Release(void* block);

}  // namespace ftmpi::image::placed
