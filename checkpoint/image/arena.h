// The arena: memory at fixed addresses that holds what the program allocates, maps and has on its
// main thread's stack, and the whole state of the allocator itself. Small blocks come from
// Boost.Interprocess' rbtree_best_fit over one growing heap; large ones are mappings of their own
// ("zone"), which the kernel gets back when they are freed.
//
// Thread-safe. Nothing here throws; a null pointer means out of memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "checkpoint/image/layout.h"

namespace ftmpi::image {

enum class RangeKind : std::uint32_t {
  kBlock = 1,    // a large malloc
  kMapping = 2,  // the program's mmap
};

// A mapping in the zone, or one that the program asked for at an address of its own.
struct ZoneRange {
  std::uint64_t length;
  RangeKind kind;
  std::uint32_t reserved;
};

// Small blocks that were freed are kept for the next allocation of their size: list k holds blocks
// with at least 16 k + 8 usable bytes. It spares the tree of free blocks most of its work.
inline constexpr std::size_t kSmallLists = 65;
inline constexpr std::uint32_t kKeptPerList = 128;
struct SmallList {
  void* first;  // the blocks are linked through their first word
  std::uint64_t count;
};

// What the library keeps in the arena beside the heap, because it belongs to the image.
struct ArenaRoot {
  std::uint64_t magic;
  std::uint64_t version;
  std::uint64_t heap_size;     // from kHeapBase, writable
  std::uint64_t zone_next;     // the next mapping goes here
  std::uint64_t threshold;     // blocks from this size on go to the zone
  std::uint64_t stack_bottom;  // lowest address of the stack
  void* heap;
  SmallList small[kSmallLists];
  void* ranges;                // of the zone
  void* exit_handlers;         // exit_handlers.cc
  void* thread_exit_handlers;  // of the main thread
  std::uint64_t exit_sequence;
  char* strtok_place;           // where strtok goes on
  std::uint64_t program_break;  // 0: sbrk was not used
};

inline constexpr std::uint64_t kArenaMagic = 0x414e455241544d46;  // "FMTARENA"
inline constexpr std::uint64_t kArenaVersion = 1;

inline ArenaRoot& Root() { return *reinterpret_cast<ArenaRoot*>(kArenaBase); }

namespace arena {

// Reserves the addresses of the arena. nullptr, or a text that says why that is impossible.
const char* Reserve();
// Makes an empty heap. After Reserve.
bool Create();
// Maps the stack, `size` bytes.
bool CreateStack(std::uint64_t size);

void* Allocate(std::size_t size);
void* AllocateZeroed(std::size_t size);
// `alignment` is a power of two.
void* AllocateAligned(std::size_t size, std::size_t alignment);
void* Reallocate(void* block, std::size_t size);
void Free(void* block);
std::size_t UsableSize(void* block);

// The program's mappings: as mmap, munmap and mremap. MAP_FAILED and errno on failure.
void* Map(std::size_t length, int protection, int flags, int descriptor, std::int64_t offset);
// The same where the address is not ours to choose (MAP_FIXED, MAP_32BIT).
void* MapAt(void* address, std::size_t length, int protection, int flags, int descriptor,
            std::int64_t offset);
int Unmap(void* address, std::size_t length);
void* Remap(void* address, std::size_t old_length, std::size_t new_length, bool may_move);

// As sbrk: the old end, nullptr when there is no memory.
void* MoveBreak(std::int64_t increment);

// Calls visit for each mapping, by address.
void ForEachRange(void (*visit)(std::uint64_t address, const ZoneRange& range, void* context),
                  void* context);

// Held around fork() by the program.
void Lock();
void Unlock();

}  // namespace arena
}  // namespace ftmpi::image
